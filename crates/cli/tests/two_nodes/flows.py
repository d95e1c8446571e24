"""Connections for a test of a pair: answers on ports, holds connections open and asks them again and again, and tries what is forbidden.

    flows.py answer tcp|udp ADDRESS PORT ...       every message comes back
    flows.py hold NAME=PROTO,FROM,TO,PORT ...      one line of JSON in NAME.json, again every second
    flows.py forbidden NAME PROTO,FROM,TO,PORT ... how often a way answered that must not
    flows.py adverts DEVICE FROM TO ...            advertisements of VRRP as a taken-over host forges them, the best and the last word

Nothing but Python's own library: the image has no more.
"""
import asyncio, json, os, socket, sys, time

TICK = 0.1

def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET

async def answer(words):
    loop = asyncio.get_running_loop()
    async def echo(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()
    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport
        def datagram_received(self, data, peer):
            self.transport.sendto(data, peer)
    for proto, address, port in zip(words[::3], words[1::3], words[2::3]):
        if proto == "tcp":
            await asyncio.start_server(echo, address, int(port), family=family(address))
        else:
            await loop.create_datagram_endpoint(Echo, local_addr=(address, int(port)), family=family(address))
    await asyncio.Event().wait()

def opened(proto, source, to, port, within=20):
    s = socket.socket(family(to), socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM)
    s.bind((source, 0))
    s.settimeout(within)
    s.connect((to, int(port)))
    s.setblocking(False)
    return s

def hold(words):
    flows = {}
    for word in words:
        name, way = word.split("=")
        proto, source, to, port = way.split(",")
        flows[name] = {"socket": opened(proto, source, to, port), "sent": 0, "answered": 0, "reset": 0, "hole": 0.0, "last": time.monotonic()}
    told = 0
    while True:
        now = time.monotonic()
        for flow in flows.values():
            if flow["reset"]:
                continue
            try:
                flow["socket"].send(b"%08d\n" % flow["sent"])
                flow["sent"] += 1
            except BlockingIOError:
                pass
            except OSError as e:
                flow["reset"], flow["why"] = 1, str(e)
            try:
                while data := flow["socket"].recv(65536):
                    flow["answered"] += data.count(b"\n")
                    flow["hole"] = max(flow["hole"], now - flow["last"])
                    flow["last"] = now
                else:
                    flow["reset"], flow["why"] = 1, "closed"
            except BlockingIOError:
                pass
            except OSError as e:
                flow["reset"], flow["why"] = 1, str(e)
        if now - told >= 1:
            told = now
            for name, flow in flows.items():
                said = {k: v for k, v in flow.items() if k not in ("socket", "last")} | {"silent": now - flow["last"]}
                with open(name + ".json.new", "w") as f:
                    f.write(json.dumps(said) + "\n")
                os.rename(name + ".json.new", name + ".json")
        time.sleep(TICK)

def forbidden(words):
    name, ways = words[0], [w.split(",") for w in words[1:]]
    tried = through = 0
    while True:
        for proto, source, to, port in ways:
            tried += 1
            try:
                s = opened(proto, source, to, port, 0.3)
                s.settimeout(0.3)
                s.send(b"x\n")
                through += bool(s.recv(10))
                s.close()
            except OSError:
                pass
        with open(name + ".json.new", "w") as f:
            f.write(json.dumps({"tried": tried, "through": through}) + "\n")
        os.rename(name + ".json.new", name + ".json")
        time.sleep(TICK)

def checksum(data):
    total = sum(int.from_bytes(data[n:n + 2], "big") for n in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).to_bytes(2, "big")

def adverts(words):
    device, source, targets = words[0], socket.inet_aton(words[1]), words[2:]
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    for _ in range(20):
        for to in targets:
            for priority in (255, 0):
                there = socket.inet_aton(to)
                # RFC 9568 5.2: version 3, one address, 60 ms; the checksum counts a pseudo header.
                body = bytes([0x31, 1, priority, 1, 0, 6, 0, 0]) + socket.inet_aton("10.20.10.1")
                body = body[:6] + checksum(source + there + bytes([0, 112, 0, len(body)]) + body) + body[8:]
                head = bytes([0x45, 0xC0, 0, 20 + len(body), 0, 1, 0, 0, 255, 112, 0, 0]) + source + there
                s.sendto(head + body, (to, 0))
        time.sleep(0.05)

if __name__ == "__main__":
    verb, words = sys.argv[1], sys.argv[2:]
    if verb == "answer":
        asyncio.run(answer(words))
    elif verb == "adverts":
        adverts(words)
    elif verb == "hold":
        hold(words)
    else:
        forbidden(words)
