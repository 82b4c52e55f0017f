-- No statistics of accounts. From them PostgreSQL takes an account that is not among the frequent ones, as one that has grown since
-- the last ANALYZE, for one of a single row; then "all rows of the account, compared with the key" seems as cheap to it as the
-- whole key, or as another index of the account, and a lookup reads every message of the account. Without them every account has
-- 1/200 of the rows: enough that the whole key is always the cheaper.
--
-- The type stays what it was, and nothing is rewritten; naming it removes the statistics that are there.
ALTER TABLE mailbox            ALTER account_id SET STATISTICS 0, ALTER account_id TYPE bigint;
ALTER TABLE subscription_ghost ALTER account_id SET STATISTICS 0, ALTER account_id TYPE bigint;
ALTER TABLE vacated_name       ALTER account_id SET STATISTICS 0, ALTER account_id TYPE bigint;
ALTER TABLE message            ALTER account_id SET STATISTICS 0, ALTER account_id TYPE bigint;
ALTER TABLE message_text       ALTER account_id SET STATISTICS 0, ALTER account_id TYPE bigint;
ALTER TABLE content            ALTER account_id SET STATISTICS 0, ALTER account_id TYPE bigint;
ALTER TABLE mailbox_message    ALTER account_id SET STATISTICS 0, ALTER account_id TYPE bigint;
ALTER TABLE tombstone          ALTER account_id SET STATISTICS 0, ALTER account_id TYPE bigint;
ALTER TABLE delivery_key       ALTER account_id SET STATISTICS 0, ALTER account_id TYPE bigint;
ALTER TABLE garbage            ALTER account_id SET STATISTICS 0, ALTER account_id TYPE bigint;
ALTER TABLE search_tail        ALTER account_id SET STATISTICS 0, ALTER account_id TYPE bigint;
ALTER TABLE search_segment     ALTER account_id SET STATISTICS 0, ALTER account_id TYPE bigint;
ALTER TABLE search_slices      ALTER account_id SET STATISTICS 0, ALTER account_id TYPE bigint;
ALTER TABLE message_keys       ALTER account_id SET STATISTICS 0, ALTER account_id TYPE bigint;
ALTER TABLE acl                ALTER account_id SET STATISTICS 0, ALTER account_id TYPE bigint;
ALTER TABLE reader_seen        ALTER account_id SET STATISTICS 0, ALTER account_id TYPE bigint;
ALTER TABLE annotation         ALTER account_id SET STATISTICS 0, ALTER account_id TYPE bigint;
ALTER TABLE url_key            ALTER account_id SET STATISTICS 0, ALTER account_id TYPE bigint;
