"""A verifier of Remit's signed documents, written from docs/keys.md alone: standard library, no package.
Usage: stranger.py PIN ROOT [ROLE DOCUMENT]: ends with 0 when all that is given is believed."""
import base64, hashlib, json, sys
sha256 = lambda data: hashlib.sha256(data).digest()
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D, I = -121665 * pow(121666, P - 2, P) % P, pow(2, (P - 1) // 4, P)
Q = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
     0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)
def edwards(a, b):
    (x, y), (u, v), t = a, b, D * a[0] * b[0] * a[1] * b[1]
    return (x * v + u * y) * pow(1 + t, P - 2, P) % P, (y * v + x * u) * pow(1 - t, P - 2, P) % P
def weierstrass(a, b):
    if a is None or b is None: return b if a is None else a
    if a[0] == b[0] and (a[1] + b[1]) % Q == 0: return None
    m = (3 * a[0] ** 2 - 3) * pow(2 * a[1], Q - 2, Q) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], Q - 2, Q)
    x = (m * m - a[0] - b[0]) % Q
    return x, (m * (a[0] - x) - a[1]) % Q
def times(n, point, add, sum):
    while n: sum, point, n = add(sum, point) if n & 1 else sum, add(point, point), n >> 1
    return sum
def decode(raw):
    y, sign = int.from_bytes(raw, "little") % 2**255, raw[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if (x * x - square) % P == 0 else x * I % P
    assert (x * x - square) % P == 0 and y < P, "not a point"
    return (x if x % 2 == sign else P - x), y
def ed25519(key, message, sig):
    a, r, s = decode(key), decode(sig[:32]), int.from_bytes(sig[32:], "little")
    h = int.from_bytes(hashlib.sha512(sig[:32] + key + message).digest(), "little") % L
    b = decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
    return s < L and times(s, b, edwards, (0, 1)) == edwards(r, times(h, a, edwards, (0, 1)))
def p256(key, message, sig):
    r, s, e = int.from_bytes(sig[:32]), int.from_bytes(sig[32:]), int.from_bytes(sha256(message))
    w, point = pow(s, N - 2, N), (int.from_bytes(key[:32]), int.from_bytes(key[32:]))
    sum = weierstrass(times(e * w % N, G, weierstrass, None), times(r * w % N, point, weierstrass, None))
    return 0 < r < N and 0 < s < N and sum is not None and sum[0] % N == r

def believe(root, role, kind, container):
    body, signers = base64.b64decode(container["payload"], validate=True), set()
    assert container["payloadType"] == f"application/vnd.remit.{kind}.v1+json", "another type"
    message = b"DSSEv1 %d %s %d " % (len(container["payloadType"]), container["payloadType"].encode(), len(body)) + body
    for one in container["signatures"]:
        if one["keyid"] not in root[role]["keys"]: continue
        spki = base64.b64decode(root["keys"][one["keyid"]]["spki"])
        assert sha256(spki).hex() == one["keyid"], "a key under another id"
        verify, size = {"ed25519": (ed25519, 32), "ecdsa-p256-sha256": (p256, 64)}[root["keys"][one["keyid"]]["algorithm"]]
        if verify(spki[-size:], message, base64.b64decode(one["sig"])): signers.add(one["keyid"])
    assert len(signers) >= root[role]["threshold"], "too few good signatures"

pin, first, *more = sys.argv[1:]
container = json.load(open(first))
assert sha256(base64.b64decode(container["payload"])).hex() == pin.removeprefix("sha256:"), "not the pinned root"
root = json.loads(base64.b64decode(container["payload"]))
believe(root, "root", "root", container)
for role, kind, file in [(more[0], {"release": "release", "dispatch": "job"}[more[0]], more[1])] if more else []:
    believe(root, role, kind, json.load(open(file)))
