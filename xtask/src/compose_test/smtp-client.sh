# A mail client with nothing but bash: prints its address and the Message-ID of the mail that it delivered.
set -eu
exec 3<>/dev/tcp/haproxy/25
expect() {
    local line
    while IFS= read -r line <&3; do
        case $line in
        "$1-"*) ;;
        "$1 "*) return ;;
        *)
            echo "expected $1, got $line" >&2
            exit 1
            ;;
        esac
    done
    exit 1
}
name="<container.$RANDOM$RANDOM@example.net>"
expect 220
for command in "EHLO client.example.net" "MAIL FROM:<bob@example.net>" "RCPT TO:<alice@localhost>"; do
    printf '%s\r\n' "$command" >&3
    expect 250
done
printf 'DATA\r\n' >&3
expect 354
printf 'From: bob@example.net\r\nSubject: From a container\r\nMessage-ID: %s\r\n\r\nHello\r\n.\r\n' "$name" >&3
expect 250
printf 'QUIT\r\n' >&3
echo "$(hostname -i) $name"
