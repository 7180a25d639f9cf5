#!/usr/bin/env python3
"""Shows a report to a real browser and says what is wrong with it.

    python3 tests/browser/report.py report.html [--shots DIR]

Needs a Chromium: `apt-get install chromium-headless-shell`, or BROWSER=/path/to/chromium. Nothing else: the DevTools
protocol is spoken here, through a pipe. For desktop and phone, light and dark, it asserts that nothing is asked of
the network, nothing is written to the console, the page is not wider than its window, no text of a chart leaves its
chart, texts of a chart do not cover each other, text has contrast enough, and every chart has a name. It prints to
PDF, too. With --shots the pictures stay, to be looked at.
"""

import argparse
import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

NAMES = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome"]
VIEWS = [("desktop", 1280, 900), ("tablet", 760, 1000), ("phone", 390, 844), ("small", 320, 640)]

# Runs in the page: a list of sentences, empty where all is well.
LOOK = r"""
(() => {
  const wrong = [];
  const doc = document.documentElement;
  if (doc.scrollWidth > doc.clientWidth) {
    const wide = [...document.body.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > doc.clientWidth + 0.5);
    wrong.push(`scrolls sideways: ${doc.scrollWidth} of ${doc.clientWidth}: ` + wide.slice(0, 3).map(e => e.outerHTML.slice(0, 80)).join(' | '));
  }
  if (document.scripts.length) wrong.push('has a script');
  const shown = [...document.querySelectorAll('svg')].filter(e => e.getBoundingClientRect().width > 0);
  if (!shown.length) wrong.push('shows no chart');
  const ids = new Set();
  for (const e of document.querySelectorAll('[id]')) {
    if (ids.has(e.id)) wrong.push(`id ${e.id} twice`);
    ids.add(e.id);
  }
  for (const svg of shown) {
    const names = (svg.getAttribute('aria-labelledby') || '').split(' ').map(id => document.getElementById(id));
    if (svg.getAttribute('role') !== 'img' || names.length < 2 || names.some(n => !n || !n.textContent.trim())) wrong.push('a chart without name or description');
    const box = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].map(t => [t, t.getBoundingClientRect()]);
    for (const [t, r] of texts) {
      if (r.left < box.left - 1 || r.right > box.right + 1 || r.top < box.top - 1 || r.bottom > box.bottom + 1) wrong.push(`text leaves its chart: ${t.textContent}`);
      if (parseFloat(getComputedStyle(t).fontSize) * box.width / svg.viewBox.baseVal.width < 9) wrong.push(`text too small: ${t.textContent}`);
    }
    for (let i = 0; i < texts.length; i++) for (let j = i + 1; j < texts.length; j++) {
      const [a, b] = [texts[i][1], texts[j][1]];
      const w = Math.min(a.right, b.right) - Math.max(a.left, b.left), h = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (w > 1 && h > 3) wrong.push(`texts cover each other: ${texts[i][0].textContent} / ${texts[j][0].textContent}`);
    }
  }
  const rgb = s => (s.match(/[\d.]+/g) || []).map(Number);
  const light = c => { const [r, g, b] = c.slice(0, 3).map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length && (c.length < 4 || c[3] > 0)) return c; } return [255, 255, 255]; };
  const seen = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || e.closest('title, desc') || !e.getBoundingClientRect().width) continue;
    const ink = rgb(e.closest('svg') ? getComputedStyle(e).fill : getComputedStyle(e).color);
    const [a, b] = [light(ink), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const key = `${ink} on ${ground(e)}`;
    if (ratio < 4.5 && !seen.has(key)) { seen.add(key); wrong.push(`contrast ${ratio.toFixed(1)}: ${key}: ${e.textContent.slice(0, 30)}`); }
  }
  return wrong;
})()
"""


class Browser:
    """One browser, spoken to through file descriptors 3 and 4."""

    def __init__(self, program, home):
        there, back = os.pipe(), os.pipe()

        def wire():
            # Dup twice: the pipes' own numbers may be 3 or 4.
            a, b = os.dup(there[0]), os.dup(back[1])
            os.dup2(a, 103), os.dup2(b, 104)
            os.dup2(103, 3), os.dup2(104, 4)

        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--remote-debugging-pipe", "--disable-gpu", "--hide-scrollbars",
             "--no-first-run", "--disable-extensions", "--disable-background-networking", f"--user-data-dir={home}"],
            preexec_fn=wire, pass_fds=(3, 4), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(there[0]), os.close(back[1])
        self.out, self.inp = os.fdopen(there[1], "wb", 0), os.fdopen(back[0], "rb", 0)
        self.rest, self.number, self.events = b"", 0, []

    def read(self):
        while b"\0" not in self.rest:
            more = self.inp.read(1 << 16)
            if not more:
                raise SystemExit("the browser went away")
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        self.out.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise SystemExit(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def until(self, name):
        while not any(event.get("method") == name for event in self.events):
            self.events.append(self.read())


def view(browser, url, name, width, height, scheme, shots):
    """One window: what is wrong, each a sentence."""
    browser.events.clear()
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    call = lambda method, **params: browser.call(method, session, **params)
    for domain in ("Page", "Runtime", "Log", "Network"):
        call(f"{domain}.enable")
    phone = width < 600
    call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone)
    call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    call("Page.navigate", url=url)
    browser.until("Page.loadEventFired")
    result = call("Runtime.evaluate", expression=LOOK, returnByValue=True)
    if "exceptionDetails" in result:
        raise SystemExit(result["exceptionDetails"])
    wrong = result["result"]["value"]
    for event in browser.events:
        params = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent" and params["request"]["url"] != url:
            asked = params["request"]["url"]
            if not asked.startswith("data:"):
                wrong.append(f"asks the network: {asked}")
        elif event.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            wrong.append(f"console: {json.dumps(params)[:200]}")
    if shots:
        size = call("Page.getLayoutMetrics")["cssContentSize"]
        # In pieces that can be looked at.
        tall = 1600 if phone else 1400
        for piece, top in enumerate(range(0, int(size["height"]), tall)):
            clip = {"x": 0, "y": top, "width": width, "height": min(tall, size["height"] - top), "scale": 1}
            data = call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]
            (shots / f"{name}-{scheme}-{piece}.png").write_bytes(base64.b64decode(data))
    if name == "desktop":
        data = base64.b64decode(call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"])
        if not data.startswith(b"%PDF"):
            wrong.append("does not print")
        if shots:
            (shots / f"print-{scheme}.pdf").write_bytes(data)
    browser.call("Target.closeTarget", targetId=target)
    return [f"{name} {width}, {scheme}: {what}" for what in wrong]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("--shots", type=pathlib.Path)
    args = parser.parse_args()
    program = os.environ.get("BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
    if not program:
        raise SystemExit("no Chromium: apt-get install chromium-headless-shell, or set BROWSER")
    if args.shots:
        args.shots.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        browser = Browser(program, home)
        try:
            wrong = []
            for scheme in ("light", "dark"):
                for name, width, height in VIEWS:
                    wrong += view(browser, args.page.resolve().as_uri(), name, width, height, scheme, args.shots)
        finally:
            browser.process.kill()
            browser.process.wait()
    print("\n".join(wrong) if wrong else f"{args.page}: nothing wrong in {2 * len(VIEWS)} windows")
    sys.exit(1 if wrong else 0)


main()
