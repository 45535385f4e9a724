"""Controls a real Chromium by WebDriver."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from support import Unavailable

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of an element's id in WebDriver's JSON
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--no-first-run",
]


class Browser:
    """Chromium through chromedriver, controlled by plain WebDriver requests (W3C)."""

    def __init__(self, chromium, driver):
        self.folder = tempfile.mkdtemp(prefix="guestlist-chromium-")
        self.process = subprocess.Popen(
            [driver, "--port=0"], cwd=self.folder, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        try:
            match = next(filter(None, (re.search(r"successfully on port (\d+)", line) for line in self.process.stdout)))
            self.url = f"http://127.0.0.1:{match.group(1)}/session"
            options = {"binary": chromium, "args": [*FLAGS, f"--user-data-dir={self.folder}/profile"]}
            capabilities = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
            self.url += "/" + self("POST", "", capabilities={"alwaysMatch": capabilities})["sessionId"]
        except BaseException:
            self.close()
            raise

    def __call__(self, method, path, **body):
        """Sends a WebDriver request; returns the value of the response."""
        data = json.dumps(body).encode() if method == "POST" else None
        request = urllib.request.Request(self.url + path, data, {"content-type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{path}: {json.load(error)['value']['message'][:300]}") from None

    def close(self):
        with contextlib.suppress(Exception):
            self("DELETE", "")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # the process group that __init__ started
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def open(self, url):
        self("POST", "/url", url="about:blank")  # without this, a URL that differs only in its fragment does not load the page
        self("POST", "/url", url=url)

    def run(self, script):
        return self("POST", "/execute/sync", script=script, args=[])

    def evaluate_async(self, script, *arguments):
        """Evaluates an expression whose value is a promise; returns its result. The expression can use `arguments`."""
        script = f"const done = arguments[arguments.length - 1]; ({script}).then(done, error => done({{thrown: String(error)}}))"
        return self("POST", "/execute/async", script=script, args=arguments)

    def find(self, selector):
        return "/element/" + self("POST", "/element", using="css selector", value=selector)[ELEMENT]

    def click(self, selector):
        self("POST", self.find(selector) + "/click")

    def type(self, selector, text):
        self("POST", self.find(selector) + "/clear")
        self("POST", self.find(selector) + "/value", text=text)

    def visible(self, selector):
        return self("GET", self.find(selector) + "/displayed")

    def text(self):
        """The text of the page; it is empty while another page loads."""
        return self.run("return document.querySelector('main')?.innerText ?? ''")

    def wait(self, expected):
        """Waits until the page contains this text; returns the text of the page."""
        deadline = time.monotonic() + 15
        while expected not in (text := self.text()):
            assert time.monotonic() < deadline, f"{expected!r} is not in {text!r}"
            time.sleep(0.02)
        return text

    def console(self):
        return [entry["message"] for entry in self("POST", "/se/log", type="browser")]

    def requests(self):
        """Every request since the last call: URL, method, headers, and URL of the document that sent it."""
        events = [json.loads(entry["message"])["message"] for entry in self("POST", "/se/log", type="performance")]
        sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        sent = [(params["request"], params["documentURL"]) for params in sent]
        return [(request["url"] + request.get("urlFragment", ""), request["method"], request["headers"], document_url) for request, document_url in sent]


def start():
    """Starts a browser; installs Chromium if it is missing and this process can install packages."""
    programs = [shutil.which("chromium"), shutil.which("chromedriver")]
    if not all(programs):
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise Unavailable("no chromium and chromedriver on this machine")
        install = ["apt-get", "install", "-y", "--no-install-recommends", "chromium", "chromium-driver"]
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update"], install):
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment)
            if done.returncode != 0:
                raise Unavailable(f"{' '.join(command)}: {done.stderr[-300:]}")
        programs = [shutil.which("chromium"), shutil.which("chromedriver")]
    return Browser(*programs)
