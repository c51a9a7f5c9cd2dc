"""A browser without a window, driven over a pipe (Chromium's DevTools protocol): for the tests of reports."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time


class Browser:
    def __init__(self, width=1280, height=900):
        names = [os.environ.get("ILLUME_BROWSER") or "chromium", "chromium-browser", "google-chrome"]
        program = next(filter(None, map(shutil.which, names)), None)
        if program is None:
            raise SystemExit("no chromium: install Debian's package of this name, or set ILLUME_BROWSER to a Chromium or Chrome")
        self.folder = tempfile.mkdtemp(prefix="illume-browser-")
        to_browser, self.write = os.pipe()
        self.read, from_browser = os.pipe()
        # The program reads commands from descriptor 3 and answers on 4.
        high = [os.dup(fd) for fd in (to_browser, from_browser)]
        high = [os.fdopen(os.open(f"/proc/self/fd/{fd}", mode), "rb" if mode == os.O_RDONLY else "wb", 0) for fd, mode in zip(high, [os.O_RDONLY, os.O_WRONLY])]
        shell = f"exec 3<&{high[0].fileno()} 4>&{high[1].fileno()}; exec \"$@\""
        words = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe", f"--user-data-dir={self.folder}",
                 "--no-first-run", "--disable-extensions", "--disable-background-networking", "--hide-scrollbars", "about:blank"]
        self.process = subprocess.Popen(["bash", "-c", shell, "bash", program, *words], pass_fds=[f.fileno() for f in high],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for fd in (to_browser, from_browser):
            os.close(fd)
        for file in high:
            file.close()
        self.number, self.buffer, self.events, self.session = 0, b"", [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.size(width, height)

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.next()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def next(self):
        while b"\0" not in self.buffer:
            part = os.read(self.read, 1 << 20)
            if not part:
                raise RuntimeError("the browser ended")
            self.buffer += part
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def size(self, width, height, phone=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone)

    def scheme(self, name):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def open(self, path):
        """Opens a file; returns the seconds until it has drawn itself."""
        start = time.monotonic()
        self.events.clear()
        self.call("Page.navigate", url="file://" + os.path.abspath(path))
        while not self.run("document.readyState === 'complete' && document.location.protocol === 'file:'"):
            time.sleep(0.01)
        self.settle()
        return time.monotonic() - start

    def settle(self):
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")

    def run(self, script):
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def complaints(self):
        """What the page threw, logged as an error, or asked of a network."""
        self.run("0")
        found = []
        for event in self.events:
            method, p = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                found.append(p["exceptionDetails"].get("exception", {}).get("description", "") or p["exceptionDetails"]["text"])
            if method == "Log.entryAdded" and p["entry"]["level"] == "error":
                found.append(p["entry"]["text"])
            if method == "Network.requestWillBeSent" and not p["request"]["url"].startswith(("file:", "data:", "about:")):
                found.append("asked for " + p["request"]["url"])
        return found

    def mouse(self, x, y, click=False):
        for kind in ["mouseMoved"] + (["mousePressed", "mouseReleased"] if click else []):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left" if kind != "mouseMoved" else "none", clickCount=1)
        self.settle()

    def key(self, name):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name)
        self.settle()

    def screenshot(self, path, whole=True):
        result = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        with open(path, "wb") as file:
            file.write(base64.b64decode(result["data"]))

    def close(self):
        try:
            self.session = None
            self.call("Browser.close")
        except RuntimeError:
            pass
        self.process.wait(timeout=30)
        shutil.rmtree(self.folder, ignore_errors=True)
