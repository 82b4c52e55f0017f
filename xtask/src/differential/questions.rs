//! What is asked: of each mail, and of all of them.

use super::value::Value;

/// FETCH items for a mail of this BODYSTRUCTURE.
pub(super) fn items(structure: &Option<Value>) -> Vec<String> {
    let mut items: Vec<String> = [
        "RFC822.SIZE",
        "INTERNALDATE",
        "ENVELOPE",
        "BODY",
        "BODYSTRUCTURE",
        "BODY.PEEK[]",
        "BODY.PEEK[]<0.40>",
        "BODY.PEEK[]<70.1000>",
        "BODY.PEEK[HEADER]",
        "BODY.PEEK[TEXT]",
        "BODY.PEEK[TEXT]<3.9>",
        "BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT)]",
        "BODY.PEEK[HEADER.FIELDS.NOT (FROM TO SUBJECT)]",
        "BINARY.PEEK[]",
        "BODY.PEEK[99]",
    ]
    .map(str::to_owned)
    .into();
    let mut parts = Vec::new();
    if let Some(structure) = structure {
        number_parts(structure, "", &mut parts);
    }
    for (part, is_message) in parts {
        for form in
            ["BODY.PEEK[@]", "BODY.PEEK[@.MIME]", "BODY.PEEK[@]<5.20>", "BINARY.PEEK[@]", "BINARY.SIZE[@]"]
        {
            items.push(form.replace('@', &part));
        }
        if is_message {
            for form in ["BODY.PEEK[@.HEADER]", "BODY.PEEK[@.TEXT]", "BODY.PEEK[@.HEADER.FIELDS (SUBJECT)]"] {
                items.push(form.replace('@', &part));
            }
        }
    }
    items
}

/// The parts by number (RFC 9051 §6.4.5.1), and whether each is a message.
fn number_parts(structure: &Value, prefix: &str, out: &mut Vec<(String, bool)>) {
    let Value::List(values) = structure else { return };
    let children: Vec<&Value> = values.iter().take_while(|value| matches!(value, Value::List(_))).collect();
    let number = |index: usize| {
        if prefix.is_empty() { index.to_string() } else { format!("{prefix}.{index}") }
    };
    if children.is_empty() {
        number_leaf(values, &number(1), out);
        return;
    }
    for (index, child) in children.iter().enumerate() {
        let part = number(index + 1);
        let Value::List(inside) = child else { continue };
        if matches!(inside.first(), Some(Value::List(_))) {
            out.push((part.clone(), false));
            number_parts(child, &part, out);
        } else {
            number_leaf(inside, &part, out);
        }
    }
}

fn number_leaf(values: &[Value], part: &str, out: &mut Vec<(String, bool)>) {
    let is = |value: Option<&Value>, word: &[u8]| matches!(value, Some(Value::Text(text)) if text.eq_ignore_ascii_case(word));
    let is_message = is(values.first(), b"message") && is(values.get(1), b"rfc822");
    out.push((part.to_owned(), is_message));
    if is_message && let Some(inside) = values.get(8) {
        // A multipart inside a message takes over the number of the message.
        number_parts(inside, part, out);
    }
}

/// SEARCH, SORT and THREAD over all mails.
pub(super) fn commands() -> Vec<String> {
    let mut commands: Vec<String> = [
        "ALL",
        "TEXT hello",
        "TEXT nowhere-at-all",
        "BODY hello",
        "BODY \"second part\"",
        "SUBJECT meeting",
        "SUBJECT \"re:\"",
        "FROM taro",
        "FROM example.org",
        "TO list",
        "CC hanako",
        "BCC secret",
        "HEADER X-Test \"\"",
        "HEADER X-Test value",
        "HEADER Message-ID example",
        "HEADER Received \"\"",
        "LARGER 1000",
        "SMALLER 400",
        "SENTSINCE 2-Nov-2026",
        "SENTBEFORE 2-Nov-2026",
        "SENTON 2-Nov-2026",
        "SINCE 3-Nov-2026",
        "BEFORE 3-Nov-2026",
        "ON 3-Nov-2026",
        "NOT TEXT hello",
        "OR SUBJECT meeting BODY hello",
        "UNSEEN",
        "SEEN",
        "KEYWORD $Forwarded",
        "2:5 NOT 3",
        "UID 1:4",
        "CHARSET UTF-8 SUBJECT 会議",
        "CHARSET UTF-8 BODY 資料",
        "CHARSET UTF-8 TEXT 届",
        "CHARSET UTF-8 FROM 山田",
        "CHARSET UTF-8 TEXT ﾃｽﾄ",
        "CHARSET UTF-8 BODY ÄRGER",
        "CHARSET UTF-8 BODY ärger",
        "CHARSET UTF-8 BODY größe",
        "TEXT multipart",
        "BODY \"<b>\"",
        "BODY base64",
        "BODY hidden-in-base64",
        "BODY attached-text",
        "HEADER Subject \"\"",
        "HEADER Subject folded",
        "TEXT inner-subject",
        "BODY inner-subject",
        "BODY inner-body",
    ]
    .iter()
    .map(|key| with_literals(&format!("SEARCH {key}")))
    .collect();
    for key in ["ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO"] {
        commands.push(format!("SORT ({key}) UTF-8 ALL"));
        commands.push(format!("SORT (REVERSE {key}) UTF-8 ALL"));
        commands.push(format!("SORT ({key} REVERSE SIZE) UTF-8 SUBJECT meeting"));
    }
    for algorithm in ["REFERENCES", "ORDEREDSUBJECT", "REFS"] {
        commands.push(format!("THREAD {algorithm} UTF-8 ALL"));
        commands.push(format!("THREAD {algorithm} UTF-8 SUBJECT thread"));
    }
    commands
}

/// Words that are not ASCII go as literals (RFC 3501 §4.3).
fn with_literals(command: &str) -> String {
    let words = command
        .split(' ')
        .map(|word| if word.is_ascii() { word.to_owned() } else { format!("{{{}+}}\r\n{word}", word.len()) });
    words.collect::<Vec<_>>().join(" ")
}
