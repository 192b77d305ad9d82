#!/usr/bin/env python3
"""A Leasehold subscriber in Python, written from docs/PROTOCOL.md and docs/ABI.md alone, standard library only.

It says hello on attach.sock and prints its token, because gRPC is not in the standard library: whoever started it calls
OpenSubscriber with that token and hands it the ticket. It claims the ticket, maps the channel, takes every frame until the end
mark and prints, one JSON object a line, what it saw.

    client.py RUNTIME_DIR     stdout: {"token"}, then stdin: {"ticket"}, then stdout: {"mapped"}, {"frame"}..., {"end"}

On atomicity: an item of a memoryview of 32-bit words is read and written by CPython with one aligned 4-byte move, which on x86-64
is atomic and ordered but for one case, a store followed by a load. There, fence() takes a lock, which is a locked instruction.
That is enough for a test on x86-64, and not a way to write a client for other processors.
"""

import base64
import json
import mmap
import os
import select
import socket
import struct
import sys
import threading
import zlib

PACKET_BYTES_MAX = 4096
DESCRIPTORS_MAX = 66
LOOK_AGAIN_S = 1.0
ABI_VERSION = 4
MAGIC_CHANNEL, MAGIC_LOCK, MAGIC_PAGE = 0x4C534843, 0x4C53484C, 0x4C534850
ROLE_DATA, ROLE_LOCK, ROLE_PAGE = 1, 2, 3
ACCESS_WRITE = 2
END_MARK = 1
MAX_PINS = 256

# Offsets in 32-bit words, from docs/ABI.md.
LOCK_STATE, LOCK_BELL_VERSION, LOCK_BELL, LOCK_HEAD, LOCK_ERA, LOCK_LIVE, LOCK_GENERATION, LOCK_MAX_PINS = (
    20 // 4, 24 // 4, 32 // 4, 384 // 4, 388 // 4, 512 // 4, 640 // 4, 1664 // 4)
PAGE_INDEX, PAGE_GENERATION, PAGE_ARMED, PAGE_PUBLISHER_ARMED, PAGE_CURSOR, PAGE_PINS = (
    16 // 4, 20 // 4, 128 // 4, 256 // 4, 384 // 4, 400 // 4)
PAGE_COUNTERS_BYTES = 1536
DESCRIPTOR_BYTES = 256

_fence = threading.Lock()


def fence():
    """A full memory barrier: see the module's comment."""
    with _fence:
        pass


# --- protobuf, as much as AttachMessage needs -----------------------------------------------------------------------------

def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def blob(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data):
    """Every field of a message as {number: [values]}."""
    found, at = {}, 0
    while at < len(data):
        key, at = read_varint(data, at)
        if key & 7 == 0:
            value, at = read_varint(data, at)
        elif key & 7 == 2:
            length, at = read_varint(data, at)
            value, at = data[at:at + length], at + length
        else:
            raise ValueError(f"wire type {key & 7} is in no attach message")
        found.setdefault(key >> 3, []).append(value)
    return found


def first(message, field, default=0):
    return message.get(field, [default])[0]


# --- the attach socket ------------------------------------------------------------------------------------------------------

HELLO, WELCOME, CLAIM, GRANT, REFUSED, DETACHED, GOODBYE = 1, 2, 3, 5, 6, 7, 8


class Attach:
    def __init__(self, runtime_dir):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(os.path.join(runtime_dir, "attach.sock"))

    def tell(self, kind, body=b""):
        self.socket.send(blob(kind, body))

    def ask(self, kind, body, expected):
        self.tell(kind, body)
        packet, descriptors, flags, _ = socket.recv_fds(
            self.socket, PACKET_BYTES_MAX, DESCRIPTORS_MAX, socket.MSG_CMSG_CLOEXEC)
        if not packet or flags & socket.MSG_CTRUNC:
            raise ConnectionError("the broker closed the connection, or descriptors were lost")
        message = fields(packet)
        if REFUSED in message:
            refused = fields(message[REFUSED][0])
            raise RuntimeError(f"{first(refused, 1, b'').decode()}: {first(refused, 2, b'').decode()}")
        return fields(message[expected][0]), descriptors

    def close(self):
        self.tell(GOODBYE)
        self.socket.close()


# --- mapped memory ------------------------------------------------------------------------------------------------------------

class Mapped:
    """One granted segment, mapped; its descriptor is closed."""

    def __init__(self, role, descriptor):
        size = first(role, 3)
        try:
            if os.fstat(descriptor).st_size != size:
                raise ValueError(f"role {first(role, 1)}: the segment has not the {size} B that were granted")
            writable = first(role, 2) == ACCESS_WRITE
            protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
            self.map = mmap.mmap(descriptor, size, mmap.MAP_SHARED, protection)
        finally:
            os.close(descriptor)
        self.bytes = memoryview(self.map)
        self.words = self.bytes.cast("I")

    def check(self, magic, mapping_id):
        found, version, mapping = struct.unpack_from("<IIQ", self.map)
        if (found, version, mapping) != (magic, ABI_VERSION, mapping_id):
            raise ValueError(f"not a valid region: magic {found:#x}, version {version}, mapping {mapping}")

    def release(self):
        self.words.release()
        self.bytes.release()
        self.map.close()


def align(value, multiple):
    return -(-value // multiple) * multiple


class Geometry:
    def __init__(self, data):
        header = bytes(data.bytes[:128])
        self.slots, self.ring_entries, self.block, self.max_loans = struct.unpack_from("<IIII", header, 16)
        (self.slot_bytes, self.stride, self.ring_at, self.descriptors_at, self.slots_at) = struct.unpack_from(
            "<QQQQQ", header, 32)
        alignment = 4096 if self.slot_bytes >= 4096 else 64
        descriptors_at = align(128 + 4 * self.ring_entries, 128)
        slots_at = align(descriptors_at + DESCRIPTOR_BYTES * self.slots, alignment)
        valid = (
            3 <= self.slots <= 1022 and 1 <= self.max_loans <= self.slots - 2 and self.slot_bytes >= 1
            and self.ring_entries == 1 << (self.slots - 1).bit_length()
            and self.stride == align(self.slot_bytes, alignment)
            and (self.ring_at, self.descriptors_at, self.slots_at) == (128, descriptors_at, slots_at)
            and slots_at + self.slots * self.stride <= len(data.bytes))
        if not valid:
            raise ValueError("channel header: offsets that do not belong to its sizes")


# --- the reader algorithm -----------------------------------------------------------------------------------------------------

NOTHING, AGAIN, ENDED = "nothing", "again", "ended"


def signed32(value):
    return ((value + 0x80000000) & 0xFFFFFFFF) - 0x80000000


def published(sequence):
    """The state word of a frame."""
    return 0x40000000 | sequence & 0x3FFFFFFF


class Subscriber:
    """READER ALGORITHM, mode `queue`."""

    def __init__(self, data, lock, page, history, ring_publisher):
        self.data, self.lock, self.page = data, lock, page
        self.geometry = Geometry(data)
        self.ring_publisher = ring_publisher
        self.settling = history > 0
        self.token = self.taken = self.lost = 0
        self.free = list(range(self.max_pins()))
        self.pin_of = {}  # slot: which pin protects the frame that is held in it
        self.ahead = self.wanted = None
        newest = self.newest()
        # Where the broker let us in: what was published since is ours.
        self.cursor = max(newest - ((newest - self.page.words[PAGE_CURSOR]) & 0xFFFFFFFF), 0)
        self.joined = self.cursor + history

    def max_pins(self):
        granted = self.lock.words[LOCK_MAX_PINS + self.page.words[PAGE_INDEX]]
        if not 1 <= granted <= MAX_PINS:
            raise ValueError(f"{granted} pins were granted, not 1 to {MAX_PINS}")
        return granted

    def newest(self):
        middle = self.lock.words[LOCK_ERA] * 2**31 + 2**30
        return middle + signed32(self.lock.words[LOCK_HEAD] - middle)

    def lap(self, sequence):
        return sequence // self.geometry.ring_entries & 0x3FFFFF

    def ring(self, sequence):
        entry = self.data.words[self.geometry.ring_at // 4 + sequence % self.geometry.ring_entries]
        return entry >> 10, entry & 0x3FF

    def take(self):
        for _ in range(self.geometry.slots + 2):
            following = self.cursor + 1
            self.want(following)
            lap, slot = self.ring(following)
            if lap == self.lap(following) - 1 & 0x3FFFFF:
                if not self.whole_wrap_behind(following, lap):
                    return NOTHING
                self.skip_to(following)
            elif lap != self.lap(following):
                self.skip_to(max(following, self.newest() - self.geometry.ring_entries))
            elif not self.there(slot, following):
                self.skip_to(following)
            elif self.descriptor(slot)["flags"] & END_MARK == 0:
                return self.accept(slot, following)
            elif following <= self.joined and self.newest() > following:
                self.cursor = following
            else:
                return self.end(following)
        return AGAIN

    def whole_wrap_behind(self, sequence, lap):
        return signed32(self.lock.words[LOCK_HEAD] - sequence) >= 0 and self.ring(sequence)[0] == lap

    def want(self, sequence):
        """Pins a frame, published or not; what was wanted before is pinned no more."""
        if self.ahead is not None and self.wanted == sequence:
            return
        moved = self.ahead is not None
        if not moved:
            self.ahead = self.free.pop()
        self.wanted = sequence
        self.page.words[PAGE_PINS + self.ahead] = published(sequence)
        fence()  # pin first, look second
        if moved:
            self.wake_publisher()

    def there(self, slot, sequence):
        if slot >= self.geometry.slots or slot in self.pin_of:
            return False
        state = self.data.words[(self.geometry.descriptors_at + slot * DESCRIPTOR_BYTES) // 4]
        if state != published(sequence):
            return False
        descriptor = self.descriptor(slot)
        return descriptor["sequence"] == sequence and descriptor["token"] >= self.token

    def accept(self, slot, sequence):
        self.cursor = sequence
        self.pin_of[slot], self.ahead = self.ahead, None
        self.token = self.descriptor(slot)["token"]
        self.taken += 1
        self.settling = False
        self.count()
        return slot

    def release(self, slot):
        """The pin of the frame that goes protects the one that is wanted next, if none does yet: one store."""
        pin, word = self.pin_of.pop(slot), 0
        if self.ahead is None:
            self.ahead, self.wanted = pin, self.cursor + 1
            word = published(self.wanted)
        else:
            self.free.append(pin)
        self.page.words[PAGE_CURSOR] = self.cursor & 0xFFFFFFFF
        self.page.words[PAGE_PINS + pin] = word
        fence()
        self.wake_publisher()

    def end(self, sequence):
        self.cursor = sequence
        self.page.words[PAGE_PINS + self.ahead] = 0
        self.free.append(self.ahead)
        self.ahead = None
        self.announce()
        return ENDED

    def skip_to(self, sequence):
        first_counted = max(self.cursor, self.joined) if self.settling else self.cursor
        self.lost += max(0, sequence - first_counted)
        self.cursor = sequence
        self.count()
        self.announce()

    def announce(self):
        self.page.words[PAGE_CURSOR] = self.cursor & 0xFFFFFFFF
        self.wake_publisher()

    def count(self):
        struct.pack_into("<dd", self.page.map, PAGE_COUNTERS_BYTES, self.taken, self.lost)

    def wake_publisher(self):
        """Without a compare-exchange: the ring always follows the clearing, so that at worst there is one ring too many."""
        if not self.geometry.block:
            return
        fence()
        if self.page.words[PAGE_PUBLISHER_ARMED] != 1:
            return
        self.page.words[PAGE_PUBLISHER_ARMED] = 0
        fence()
        version = self.lock.words[LOCK_BELL_VERSION]
        bell = bytes(self.lock.bytes[LOCK_BELL * 4:LOCK_BELL * 4 + 16])
        if version % 2 == 0 and version == self.lock.words[LOCK_BELL_VERSION] and any(bell):
            self.ring_publisher(bell)

    def arm(self, armed):
        self.page.words[PAGE_ARMED] = armed
        fence()

    def takes_part(self):
        index, generation = self.page.words[PAGE_INDEX], self.page.words[PAGE_GENERATION]
        live = self.lock.words[LOCK_LIVE + index // 32] >> index % 32 & 1
        return live == 1 and self.lock.words[LOCK_GENERATION + index] == generation and self.lock.words[LOCK_STATE] == 0

    def descriptor(self, slot):
        copy = bytes(self.data.bytes[self.geometry.descriptors_at + slot * DESCRIPTOR_BYTES:][:DESCRIPTOR_BYTES])
        flags, sequence, token, _, payload_bytes = struct.unpack_from("<IQQQQ", copy, 4)
        metadata_bytes = min(flags >> 8 & 0xFF, 128)
        return {"flags": flags, "sequence": sequence, "token": token,
                "payload_bytes": min(payload_bytes, self.geometry.slot_bytes),
                "metadata": copy[64:64 + metadata_bytes]}

    def payload(self, slot):
        start = self.geometry.slots_at + slot * self.geometry.stride
        return self.data.bytes[start:start + self.descriptor(slot)["payload_bytes"]]


# --- the program --------------------------------------------------------------------------------------------------------------

def say(**what):
    print(json.dumps(what), flush=True)


def wait(subscriber, bell):
    """Arms, looks again, and only then sleeps."""
    subscriber.arm(1)
    outcome = subscriber.take()
    if outcome == NOTHING:
        if not subscriber.takes_part():
            raise RuntimeError("this participant takes part no more")
        select.select([bell], [], [], LOOK_AGAIN_S)
        for _ in range(64):
            try:
                bell.recv(64, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
    subscriber.arm(0)
    return outcome


def follow(subscriber, bell):
    while True:
        outcome = subscriber.take()
        if outcome == NOTHING:
            outcome = wait(subscriber, bell)
        if outcome == ENDED:
            return
        if outcome in (NOTHING, AGAIN):
            continue
        descriptor, payload = subscriber.descriptor(outcome), subscriber.payload(outcome)
        checksum = zlib.crc32(payload)
        payload.release()
        intact = descriptor["metadata"] == struct.pack("<I", checksum)
        subscriber.release(outcome)
        say(frame=descriptor["sequence"], payloadBytes=descriptor["payload_bytes"], intact=intact)


def main(runtime_dir):
    attach = Attach(runtime_dir)
    welcome, (bell_fd,) = attach.ask(HELLO, number(1, 1) + blob(2, b"client.py"), WELCOME)
    bell = socket.socket(fileno=bell_fd)
    say(token=base64.urlsafe_b64encode(first(welcome, 4)).rstrip(b"=").decode())

    told = json.loads(sys.stdin.readline())
    grant, descriptors = attach.ask(CLAIM, blob(1, bytes.fromhex(told["ticket"])), GRANT)
    mapping_id = first(grant, 1)
    roles = [fields(role) for role in grant[2]]
    if [first(role, 1) for role in roles] != [ROLE_DATA, ROLE_LOCK, ROLE_PAGE] or len(descriptors) != 3:
        raise ValueError("the Grant is not data, lock and page")
    data, lock, page = (Mapped(role, descriptor) for role, descriptor in zip(roles, descriptors))
    for mapped, magic in ((data, MAGIC_CHANNEL), (lock, MAGIC_LOCK), (page, MAGIC_PAGE)):
        mapped.check(magic, mapping_id)
    index, generation = first(roles[2], 5), first(roles[2], 6)
    if (page.words[PAGE_INDEX], page.words[PAGE_GENERATION]) != (index, generation):
        raise ValueError("the page is somebody else's")

    ringer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    content = struct.pack("<QI", mapping_id, index)

    def ring_publisher(name):
        try:
            ringer.sendto(content, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL, os.path.join(runtime_dir, "bells", name.hex()))
        except OSError:
            pass  # rung already, or nobody there

    subscriber = Subscriber(data, lock, page, told["history"], ring_publisher)
    say(mapped=mapping_id, cursor=subscriber.cursor)
    follow(subscriber, bell)
    say(end=subscriber.cursor, taken=subscriber.taken, lost=subscriber.lost)

    for mapped in (data, lock, page):
        mapped.release()
    attach.tell(DETACHED, number(1, mapping_id) + number(2, index) + number(3, generation))
    attach.close()


if __name__ == "__main__":
    main(sys.argv[1])
