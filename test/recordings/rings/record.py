"""Asks the routers themselves which worker each key goes to, and prints rings.json: python record.py > rings.json

Needs vllm-router 0.1.17, smg 1.13.0 and uhashring 2.3 (the ring of production-stack's router) from PyPI beside this interpreter.
DLRouter's entry is its rule (md5, 150 points labelled url#i, bisect_right) over hashlib.
"""
import bisect, hashlib, http.client, json, os, subprocess, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEYS = ['u1', 'u2', 'u3', 'alice', 'bob', 'session-42', '7', 'a' * 40, 'x'] + [f'session {i}' for i in range(60)]
FLEET = [f'http://127.0.0.1:{port}' for port in range(18101, 18107)]
FAR = [f'http://10.0.0.{n}:8000' for n in (1, 2, 3, 4)]


class Engine(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def answer(self):
        self.rfile.read(int(self.headers.get('content-length') or 0))
        port = self.server.server_address[1]
        told = {'port': port, 'id': 'x', 'object': 'list', 'data': [{'id': 'm', 'object': 'model'}], 'model_path': 'm', 'choices': []}
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header('content-type', 'application/json')
        self.send_header('content-length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


def ask(port, header, key):
    conn = http.client.HTTPConnection('127.0.0.1', port, timeout=10)
    conn.request('POST', '/v1/completions', '{"model": "m", "prompt": "hi"}', {'content-type': 'application/json', header: key})
    reply = conn.getresponse()
    text = reply.read()
    assert reply.status == 200, text
    return f"http://127.0.0.1:{json.loads(text)['port']}"


def asked(command, header, urls, keys):
    common = ['--worker-urls', *urls, '--host', '127.0.0.1', '--port', '18190', '--prometheus-port', '18191']
    router = subprocess.Popen([*command, *common], stdout=sys.stderr)
    try:
        for _ in range(120):
            try:
                ask(18190, header, 'x')
                break
            except (OSError, AssertionError):
                time.sleep(0.5)
        time.sleep(3)  # all workers are known by then
        return {key: urls.index(ask(18190, header, key)) for key in keys}
    finally:
        router.terminate()
        router.wait()


def dlrouter(urls, keys):
    point = lambda text: int(hashlib.md5(text.encode()).hexdigest(), 16)
    ring = sorted((point(f'{url}#{i}'), url) for url in urls for i in range(150))
    places = [place for place, _ in ring]
    return {key: urls.index(ring[bisect.bisect_right(places, point(key)) % len(ring)][1]) for key in keys}


def uhashring(urls, keys):
    from uhashring import HashRing
    ring = HashRing(nodes=urls)
    return {key: urls.index(ring.get_node(key)) for key in keys}


def main():
    for url in FLEET:
        engine = ThreadingHTTPServer(('127.0.0.1', int(url.rsplit(':', 1)[1])), Engine)
        threading.Thread(target=engine.serve_forever, daemon=True).start()
    vllm = [os.path.join(os.path.dirname(sys.executable), 'vllm-router'), '--policy', 'consistent_hash']
    smg = [sys.executable, '-m', 'smg.cli', 'launch', '--policy', 'consistent_hashing']
    rings = []
    def add(policy, program, urls, keys):
        rings.append({'policy': policy, 'program': program, 'workers': urls, 'keys': keys})
    for urls in (FLEET, FLEET[:3] + FLEET[4:]):
        add('vllm_consistent_hash', 'vllm-router 0.1.17', urls, asked(vllm, 'x-session-id', urls, KEYS + ['k' * 1500]))
    for urls in (FLEET, FLEET[:3] + FLEET[4:]):
        # Keys above 128 bytes are no keys to it: then it goes by chance.
        add('sglang_consistent_hashing', 'smg 1.13.0', urls, asked(smg, 'x-smg-routing-key', urls, KEYS + ['k' * 128]))
    for urls in (FAR, FAR[:1] + FAR[2:]):
        add('production_stack_session', 'uhashring 2.3', urls, uhashring(urls, KEYS + ['会话', 'k' * 1500]))
        add('dlrouter_consistent_hash', 'hashlib', urls, dlrouter(urls, KEYS + ['会话', 'k' * 1500]))
    lines = [json.dumps(ring, ensure_ascii=False, separators=(',', ':')) for ring in rings]
    print('[\n' + ',\n'.join(lines) + '\n]')


main()
