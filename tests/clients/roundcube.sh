#!/bin/bash
# Roundcube on top of Todoku: usage in README.md.
set -euo pipefail
[ $# = 2 ] || { echo "usage: $0 PROGRAM FOLDER-FOR-SCREENSHOTS" >&2; exit 2; }
if ! command -v chromedriver >/dev/null || [ ! -d /var/lib/roundcube ] || ! command -v sqlite3 >/dev/null; then
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends roundcube-core roundcube-sqlite3 \
        php-cli php-sqlite3 php-mbstring php-xml php-intl php-gd sqlite3 chromium chromium-driver fonts-noto-cjk python3-venv
fi
. "$(dirname "$0")/server.sh"
web_port=$(free_port)
mkdir "$work/logs" "$work/temp"
sqlite3 "$work/roundcube.db" </usr/share/roundcube/SQL/sqlite.initial.sql
cat >"$work/config.inc.php" <<PHP
<?php
\$config = ['db_dsnw' => 'sqlite:///$work/roundcube.db?mode=0600', 'imap_host' => 'localhost:$imap_port', 'imap_debug' => true,
    'smtp_host' => 'localhost:$smtp_port', 'smtp_user' => '', 'smtp_pass' => '', 'des_key' => 'no-secret-is-needed-here',
    'plugins' => [], 'skin' => 'elastic', 'log_dir' => '$work/logs/', 'temp_dir' => '$work/temp/', 'imap_cache' => 'db',
    'messages_cache' => 'db', 'enable_spellcheck' => false, 'language' => 'en_US'];
PHP
# Debian's Roundcube reads only this file.
cp -a /etc/roundcube/config.inc.php "$work/config.before"
trap 'cp -a "$work/config.before" /etc/roundcube/config.inc.php; kill $(jobs -p) 2>/dev/null; wait; rm -rf "$work"' EXIT
cp "$work/config.inc.php" /etc/roundcube/config.inc.php
(cd /var/lib/roundcube && exec php -S "127.0.0.1:$web_port" >"$work/php.log" 2>&1) &
python3 -m venv "$work/venv" && "$work/venv/bin/pip" -q install selenium
"$work/venv/bin/python" "$here/roundcube.py" "http://127.0.0.1:$web_port/" "$user" "$password" "$shots" || status=$?
echo "IMAP commands refused:"
grep -aE '\] S: A[0-9]+ (NO|BAD)' "$work/logs/imap.log" || echo "  none"
exit ${status:-0}
