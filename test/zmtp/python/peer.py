"""The other side of the checks: sockets of pyzmq, driven by lines on stdin, telling what they saw by lines of JSON on stdout.

Publishes like vLLM: PUB with [topic, number, batch], and a ROUTER that replays what is asked for.
"""

import json
import sys
import threading
import time
from typing import Any, Optional, Union

import msgspec
import zmq

END = (-1).to_bytes(8, "big", signed=True)


class BlockStored(msgspec.Struct, omit_defaults=True, tag=True):
    block_hashes: list[int]
    parent_block_hash: Optional[int]
    token_ids: list[int]
    block_size: int
    lora_id: Optional[int] = None
    medium: Optional[str] = None
    session_id: Optional[str] = None


class BlockRemoved(msgspec.Struct, omit_defaults=True, tag=True):
    block_hashes: list[int]
    medium: Optional[str] = None


class AllBlocksCleared(msgspec.Struct, omit_defaults=True, tag=True):
    pass


class Batch(msgspec.Struct, array_like=True):
    ts: float
    events: list[Union[BlockStored, BlockRemoved, AllBlocksCleared]]
    rank: Optional[int] = None


def tell(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


def event_of(words: list[str]) -> Any:
    if words[0] == "stored":
        hashes = [int(word) for word in words[2].split(",")]
        parent = None if words[1] == "-" else int(words[1])
        return BlockStored(hashes, parent, list(range(16 * len(hashes))), 16, medium="GPU")
    if words[0] == "removed":
        return BlockRemoved([int(word) for word in words[1].split(",")], medium="GPU")
    return AllBlocksCleared()


class Engine:
    """One publisher; `connect`: it connects in place of listening; `beats`: it gives up who does not answer for a second."""

    def __init__(self, context: zmq.Context, connect: Optional[str], beats: bool) -> None:
        self.encoder = msgspec.msgpack.Encoder()
        self.kept: list[tuple[int, bytes]] = []
        self.next = 0
        self.pub = context.socket(zmq.PUB)
        # vLLM's own. Above it, a thousand by default, the last messages of a burst are lost, and nothing tells of it.
        self.pub.set_hwm(100_000)
        if beats:
            self.pub.setsockopt(zmq.HEARTBEAT_IVL, 100)
            self.pub.setsockopt(zmq.HEARTBEAT_TIMEOUT, 1000)
        if connect:
            self.pub.connect(connect)
            tell(port=0, replay=0)
            return
        port = self.pub.bind_to_random_port("tcp://127.0.0.1")
        self.router = context.socket(zmq.ROUTER)
        replay = self.router.bind_to_random_port("tcp://127.0.0.1")
        threading.Thread(target=self.serve, daemon=True).start()
        tell(port=port, replay=replay)

    def serve(self) -> None:
        while True:
            frames = self.router.recv_multipart()
            start = int.from_bytes(frames[-1], "big")
            for seq, batch in list(self.kept):
                if seq >= start:
                    self.router.send_multipart([frames[0], b"", b"kv", seq.to_bytes(8, "big"), batch])
            self.router.send_multipart([frames[0], b"", b"", END, b""])

    def publish(self, events: list[Any], is_lost: bool = False) -> None:
        batch = self.encoder.encode(Batch(time.time(), events, 0))
        self.kept.append((self.next, batch))
        if not is_lost:
            self.pub.send_multipart([b"kv", self.next.to_bytes(8, "big"), batch])
        self.next += 1


def run_engine(context: zmq.Context, connect: Optional[str], beats: bool) -> None:
    engine = Engine(context, connect, beats)
    for line in sys.stdin:
        words = line.split()
        if words[0] == "many":
            for number in range(int(words[1])):
                engine.publish([BlockStored([2**63 + number], None, list(range(16)), 16, medium="GPU")])
        elif words[0] == "long":
            engine.publish([BlockStored(list(range(1, 5001)), None, list(range(80000)), 16, medium="GPU")])
        elif words[0] == "lose":
            engine.publish([event_of(words[1:])], is_lost=True)
        elif words[0] == "restart":
            engine.next = 0
            engine.kept.clear()
        else:
            engine.publish([event_of(words)])
        tell(done=words[0])


def run_subscriber(context: zmq.Context, address: str, topic: str) -> None:
    sub = context.socket(zmq.SUB)
    sub.setsockopt(zmq.SUBSCRIBE, topic.encode())
    sub.connect(address)
    tell(ready=True)
    while True:
        tell(message=[frame.hex() for frame in sub.recv_multipart()])


def run_dealer(context: zmq.Context, address: str, identity: str) -> None:
    dealer = context.socket(zmq.DEALER)
    dealer.setsockopt(zmq.HEARTBEAT_IVL, 100)
    dealer.setsockopt(zmq.HEARTBEAT_TIMEOUT, 1000)
    if identity:
        dealer.setsockopt(zmq.IDENTITY, identity.encode())
    dealer.connect(address)
    dealer.send(msgspec.msgpack.encode({"type": "P", "http_address": "10.0.0.1:8000"}))
    tell(answer=[frame.hex() for frame in dealer.recv_multipart()])
    time.sleep(0.5)  # heartbeats go to and fro
    dealer.send_multipart([b"again", b"x" * 100_000])
    tell(answer=[frame.hex() for frame in dealer.recv_multipart()])
    dealer.close()
    tell(closed=True)
    sys.stdin.read()


def run_beat(context: zmq.Context, address: str, identity: str) -> None:
    """Registers as vLLM's P2P/NCCL connector does: a DEALER with an identity that sends its map again and again."""
    dealer = context.socket(zmq.DEALER)
    if identity:
        dealer.setsockopt_string(zmq.IDENTITY, identity)
    dealer.connect(address)
    beating: dict[str, Any] = {}

    def beat() -> None:
        while True:
            if beating:
                dealer.send(msgspec.msgpack.encode(beating))
            time.sleep(0.1)

    threading.Thread(target=beat, daemon=True).start()
    tell(ready=True)
    for line in sys.stdin:
        words = line.split(" ", 1)
        beating.clear()
        beating.update(json.loads(words[1]) if len(words) > 1 else {})
        tell(done=words[0])


class KVOpEvent(msgspec.Struct):
    op_type: str
    key: int
    seq_num: int


class RegisterMsg(msgspec.Struct, tag=True):
    instance_id: str
    worker_id: int
    ip: str
    port: int
    peer_init_url: Optional[str]


class BatchedKVOperationMsg(msgspec.Struct, tag=True):
    instance_id: str
    worker_id: int
    location: str
    operations: list[KVOpEvent]


class BatchedP2PLookupMsg(msgspec.Struct, tag=True):
    hashes: list[int]
    instance_id: str
    worker_id: int


def chunk_keys(tokens: list[int], size: int = 256) -> list[int]:
    """The keys of a prompt's chunks, as LMCache makes them with Python's own hash."""
    keys, before = [], 0
    for start in range(0, len(tokens), size):
        # What `hash(None)` is since Python 3.12.
        before = hash((before, tuple(tokens[start : start + size]), 0xFCA86420))
        keys.append(before)
    return keys


def run_lmcache(context: zmq.Context, push_to: str, ask_at: str) -> None:
    """A worker of LMCache: it pushes what it holds, and asks who else holds something."""
    push = context.socket(zmq.PUSH)
    push.connect(push_to)
    request = context.socket(zmq.REQ)
    request.connect(ask_at)
    tell(ready=True)
    for line in sys.stdin:
        verb, name, *numbers = line.split()
        keys = chunk_keys(list(range(int(numbers[0]))))
        if verb == "admit":
            operations = [KVOpEvent("admit", key, at) for at, key in enumerate(keys)]
            messages = [
                RegisterMsg(name, 0, "10.0.0.2", 8500, None),
                BatchedKVOperationMsg(name, 0, "LocalCPUBackend", operations),
            ]
            push.send_multipart([msgspec.msgpack.encode(one) for one in messages])
            tell(done=verb)
        else:
            request.send(msgspec.msgpack.encode(BatchedP2PLookupMsg(keys, name, 0)))
            tell(**msgspec.msgpack.decode(request.recv()))


def main() -> None:
    role, *words = sys.argv[1:]
    context = zmq.Context()
    tell(pyzmq=zmq.__version__, libzmq=zmq.zmq_version())
    if role in ("engine", "beating-engine"):
        run_engine(context, words[0] if words else None, role == "beating-engine")
    elif role == "sub":
        run_subscriber(context, words[0], words[1])
    elif role == "beat":
        run_beat(context, words[0], words[1] if len(words) > 1 else "")
    elif role == "lmcache":
        run_lmcache(context, words[0], words[1])
    else:
        run_dealer(context, words[0], words[1] if len(words) > 1 else "")


main()
