"""A server on loopback that speaks OpenAI's completions protocol, and misbehaves when the prompt says so."""

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "sk-very-secret"


class FakeServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, *, held=("org/model", "other"), key=None, can_echo=True, num_busy=0):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.held, self.key, self.can_echo = held, key, can_echo
        self.num_busy = num_busy
        self.num_in_flight = self.most_in_flight = 0
        self.asked = []
        self.lock = threading.Lock()
        self.is_over = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def handle_error(self, request, client_address):
        """A client that hung up is none of the server's troubles."""

    def __exit__(self, *error):
        self.is_over.set()
        self.shutdown()
        self.server_close()


def tokenize(text):
    """A token for each word, with the space before it, after one of the server's own unless the text is 'bare'."""
    first = [] if text.startswith("bare") else ["<s>"]
    return [*first, *re.findall(r"\s*\S+|\s+$", text)]


def echoed(prompt, extra=()):
    """The k-th token's log-probability is -k/4; 'no' is the one word that is never the likeliest."""
    tokens = [*tokenize(prompt), *extra]
    own = [None, *[-k / 4 for k in range(1, len(tokens))]]
    top = [
        None,
        *[
            {token: logprob, "better": logprob + (0.1 if "no" in token else -0.1)}
            for token, logprob in zip(tokens[1:], own[1:], strict=True)
        ],
    ]
    return {"tokens": tokens, "token_logprobs": own, "top_logprobs": top}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def do_GET(self):
        self._reply(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in self.server.held]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            server.asked.append(body)
            server.num_in_flight += 1
            server.most_in_flight = max(server.most_in_flight, server.num_in_flight)
            is_busy = server.num_busy > 0
            server.num_busy -= is_busy
        try:
            if is_busy:
                self._reply(429, {"error": {"message": "slow down"}}, {"Retry-After": "0.05"})
            else:
                self._complete(body)
        finally:
            with server.lock:
                server.num_in_flight -= 1

    def _complete(self, body):
        prompt = body["prompt"]
        what, _, with_what = prompt.partition(" ")
        match what:
            case "hang":
                self.server.is_over.wait(30)
                return
            case "sleep":
                time.sleep(float(with_what))
            case "status":
                message = f"no luck with {self.headers['Authorization']}"
                self._reply(int(with_what), {"error": {"message": message}})
                return
            case "long":
                self._reply(400, {"error": {"message": "This model's maximum context length is 8 tokens."}})
                return
            case "html":
                self._send(200, b"<html>proxy</html>", {"Content-Type": "text/html"})
                return
            case "broken":
                self._send(200, b'{"choices": [', {"Content-Type": "application/json"})
                return
            case "empty":
                self._reply(200, {"choices": []})
                return
            case "textless":
                self._reply(200, {"choices": [{"index": 0, "text": None}]})
                return
            case "cut":
                self.close_connection = True
                return
        usage = {"prompt_tokens": len(tokenize(prompt)), "completion_tokens": 0 if body.get("echo") else 1}
        choice = {"index": 0, "text": f"you said {prompt}", "logprobs": None}
        if body.get("echo"):
            if not self.server.can_echo:
                self._reply(400, {"error": {"message": "echo is not supported"}})
                return
            choice["logprobs"] = echoed(prompt, [" and"] if what == "surplus" else ())
            if what == "shortened":
                choice["logprobs"] = {name: values[:2] for name, values in choice["logprobs"].items()}
            if what == "cut-up":  # as byte tokens that are no characters by themselves
                choice["logprobs"]["tokens"] = ["\ufffd" for _ in choice["logprobs"]["tokens"]]
        self._reply(200, {"id": "1", "object": "text_completion", "choices": [choice], "usage": usage})

    def _reply(self, status, body, headers=()):
        if self.server.key and self.headers["Authorization"] != f"Bearer {self.server.key}":
            status, body = 401, {"error": {"message": f"Incorrect API key: {self.headers['Authorization']}"}}
        self._send(status, json.dumps(body).encode(), {"Content-Type": "application/json", **dict(headers)})

    def _send(self, status, body, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
