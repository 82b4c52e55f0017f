-- A session waits for this before it hears of new mail, and not for the disk: a claim that a failure of power undoes shows
-- \Recent once more, which RFC 3501 §2.3.2 allows.
CREATE OR REPLACE FUNCTION mail_claim_recent(p_account bigint, p_mailbox bigint, p_until bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    claimed bigint;
BEGIN
    SELECT m.recent_from INTO claimed FROM mailbox m
      WHERE m.account_id = p_account AND m.id = p_mailbox AND m.recent_from < p_until FOR NO KEY UPDATE;
    IF FOUND THEN
        PERFORM set_config('synchronous_commit', 'off', true);
        UPDATE mailbox m SET recent_from = p_until, recent = (SELECT count(*) FROM mailbox_message mm
            WHERE mm.account_id = p_account AND mm.mailbox_id = p_mailbox AND mm.uid >= p_until)
          WHERE m.account_id = p_account AND m.id = p_mailbox;
    END IF;
    RETURN claimed;
END $$;
