"""Drives Roundcube in a headless Chromium: reads, searches, marks, moves, sorts, threads, drafts, sends, makes a folder."""
import sys
import time

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

BASE, USER, PASSWORD, SHOTS = sys.argv[1:]

options = webdriver.ChromeOptions()
for argument in ("--headless=new", "--no-sandbox", "--window-size=1300,850"):
    options.add_argument(argument)
options.binary_location = "/usr/bin/chromium"
browser = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
browser.implicitly_wait(10)
failures = []


def script(text, wait=2.5):
    result = browser.execute_script(text)
    time.sleep(wait)
    return result


def page(query, wait=2.5):
    browser.get(BASE + query)
    time.sleep(wait)


def check(what, seen, wanted):
    print(f"{'ok  ' if seen == wanted else 'FAIL'} {what}: {seen}")
    if seen != wanted:
        failures.append(what)
    name = what.replace(" ", "-")
    browser.save_screenshot(f"{SHOTS}/roundcube-{name}.png")


def rows():
    return script("return Object.keys(rcmail.message_list.rows).length", 0)


def search(text):
    script(
        f"document.getElementById('mailsearchform').value = '{text}';"
        "rcmail.env.search_mods = {INBOX: {subject: 1, from: 1, text: 1}}; rcmail.command('search')"
    )
    return rows()


page("")
browser.find_element(By.NAME, "_user").send_keys(USER)
browser.find_element(By.NAME, "_pass").send_keys(PASSWORD + Keys.RETURN)
time.sleep(3)
check("inbox", rows(), 33)
check("search one kanji", search("資"), 2)
script("rcmail.command('reset-search')")
check("search of nothing", search("nowhere"), 0)
script("rcmail.command('reset-search')")
script("rcmail.set_list_options(['subject', 'fromto', 'date', 'size'], 'subject', 'ASC', 0)")
# The base subject "meeting" comes before "Note 0" (RFC 5256 §2.1, §3).
check("sorted by subject", script("return document.querySelector('#messagelist tbody tr .subject a span').innerText", 0), "Re: meeting")
script("rcmail.set_list_options(['subject', 'fromto', 'date', 'size'], 'date', 'DESC', 1)")
check("threads", script("return Object.values(rcmail.message_list.rows).filter(row => row.depth > 0).length", 0), 1)
script("rcmail.set_list_options(['subject', 'fromto', 'date', 'size'], 'arrival', 'DESC', 0)")
script("rcmail.message_list.select(rcmail.message_list.get_first_row()); rcmail.command('move', 'Archive')")
check("moved away", rows(), 32)
page("?_task=mail&_mbox=INBOX&_uid=2&_action=show")
text = browser.find_element(By.TAG_NAME, "body").text
check("message shown", ("資料を送ります" in text, "会議.txt" in text), (True, True))
page("?_task=mail&_action=compose")
browser.find_element(By.CSS_SELECTOR, "#compose_to input").send_keys(USER + ",")
browser.find_element(By.ID, "compose-subject").send_keys("ウェブメールから")
browser.find_element(By.ID, "composebody").send_keys("こんにちは")
script("rcmail.command('savedraft')", 4)
page("?_task=mail&_mbox=Drafts")
check("draft saved", rows(), 1)
page("?_task=mail&_mbox=Drafts&_draft_uid=1&_action=compose", 4)
script("rcmail.command('send', '', {})", 6)
page("?_task=mail&_mbox=Sent")
check("kept in Sent", rows(), 1)
page("?_task=mail&_mbox=INBOX", 4)
check("arrived in INBOX", rows(), 33)
browser.quit()
sys.exit(1 if failures else 0)
