#!/bin/bash
# Thunderbird under Xvfb on top of Todoku: usage in README.md.
set -euo pipefail
[ $# = 2 ] || { echo "usage: $0 PROGRAM FOLDER-FOR-SCREENSHOTS" >&2; exit 2; }
if ! command -v thunderbird >/dev/null || ! command -v xdotool >/dev/null || ! command -v Xvfb >/dev/null; then
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends thunderbird xvfb xdotool imagemagick \
        dbus-x11 fonts-noto-cjk
fi
. "$(dirname "$0")/server.sh"
profile=$work/profile
mkdir "$profile"
pref() { echo "user_pref(\"$1\", $2);" >>"$profile/user.js"; }
pref app.update.enabled false
pref mailnews.start_page.enabled false
pref mail.provider.suppress_dialog_on_startup true
pref mail.shell.checkDefaultClient false
pref datareporting.policy.dataSubmissionEnabled false
pref mail.accountmanager.accounts '"account1"'
pref mail.accountmanager.defaultaccount '"account1"'
pref mail.account.account1.server '"server1"'
pref mail.account.account1.identities '"id1"'
pref mail.identity.id1.useremail "\"$user\""
pref mail.server.server1.type '"imap"'
pref mail.server.server1.hostname '"127.0.0.1"'
pref mail.server.server1.port "$imap_port"
pref mail.server.server1.userName "\"$user\""
pref mail.server.server1.name '"Todoku"'
pref mail.server.server1.socketType 0
pref mail.server.server1.authMethod 3
pref mail.server.server1.login_at_startup true
export DISPLAY=:$((RANDOM % 500 + 100)) HOME=$work
Xvfb "$DISPLAY" -screen 0 1400x900x24 >/dev/null 2>&1 &
sleep 1
MOZ_LOG=IMAP:4 MOZ_LOG_FILE=$work/imap dbus-run-session thunderbird --profile "$profile" --no-remote >/dev/null 2>&1 &
sleep 20
xdotool mousemove 650 460 click 1 type "$password"
xdotool key Return
sleep 12
import -window root "$shots/thunderbird-inbox.png"
python3 - "$lmtp_port" "$user" <<'PYTHON'
import smtplib, sys
octets = f"From: y@example.org\r\nTo: {sys.argv[2]}\r\nSubject: =?UTF-8?B?5bGK44GE44Gf?= now\r\n\r\npushed\r\n".encode()
smtplib.LMTP("127.0.0.1", int(sys.argv[1])).sendmail("y@example.org", [sys.argv[2]], octets)
PYTHON
sleep 5
import -window root "$shots/thunderbird-pushed.png"
echo "commands sent:"
grep -ah 'SendData: [0-9]' "$work"/imap*.moz_log | sed 's/.*SendData: [0-9]* /  /; s/authenticate.*/authenticate/' | cut -c1-100
echo "refused:"
grep -ahE ':CreateNewLineFromSocket: [0-9]+ (NO|BAD)' "$work"/imap*.moz_log || echo "  none"
grep -aq 'CreateNewLineFromSocket: \* 34 EXISTS' "$work"/imap*.moz_log && echo "ok   the pushed mail was told of while idle"
