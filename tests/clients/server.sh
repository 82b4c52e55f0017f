# To be sourced: starts `todoku all` ($1: the program) in a folder of its own, with an account that has mail.
# Leaves behind: $work, $imap_port, $smtp_port, $lmtp_port, $user, $password; all goes away when the script ends.
program=$(realpath "$1")
shots=$(mkdir -p "$2" && realpath "$2")
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
user=reader@localhost.example
password=a-test-needs-no-secret
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
imap_port=$(free_port) lmtp_port=$(free_port) smtp_port=$(free_port)
export TODOKU__IMAP__LISTEN=127.0.0.1:$imap_port TODOKU__IMAP__LISTEN_TLS= TODOKU__IMAP__ALLOW_CLEAR_LOGIN=true
export TODOKU__POP3__LISTEN= TODOKU__POP3__LISTEN_TLS= TODOKU__HTTP__LISTEN=127.0.0.1:$(free_port)
export TODOKU__LMTP__LISTEN=127.0.0.1:$lmtp_port TODOKU__SMTP__LISTEN=127.0.0.1:$smtp_port
export TODOKU__DATA__DIR=$work/data TODOKU__DOMAINS__LOCAL=localhost.example
touch "$work/todoku.log"
"$program" all >"$work/todoku.log" 2>&1 &
trap 'kill $(jobs -p) 2>/dev/null; wait; rm -rf "$work"' EXIT
for _ in $(seq 100); do grep -q 'Todoku is ready' "$work/todoku.log" && break; sleep 0.1; done
echo "$password" | "$program" account add "$user" --password-stdin
python3 "$here/mail.py" "$lmtp_port" "$user"
