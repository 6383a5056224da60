"""A small reader of HDF5: the names of groups and datasets and their attributes, nothing of the data.

The layout is that of the HDF5 File Format Specification, version 3.0. Superblocks 0 to 3, both kinds of object header,
symbol tables and compact links; what lies in fractal heaps (dense storage) is counted and not read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from envsolve.scan.models.source import LimitError, MalformedError, NotThisFormatError, Source, number

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MESSAGES = 4096
_TEXT = 16 << 20

Value = str | int | tuple[str, ...] | None


@dataclass
class Node:
    """An object: its attributes and, of a group, the addresses of its members."""

    attributes: dict[str, Value] = field(default_factory=dict)
    members: dict[str, int] = field(default_factory=dict)
    is_group: bool = False
    dense: bool = False


def signature_at(source: Source) -> int | None:
    """Where the signature is: at 0, 512 or a few doublings after, as the format allows; None: nowhere."""
    for at in (0, 512, 1024, 2048, 4096):
        if source.some(at, 8) == SIGNATURE:
            return at
    return None


class File:
    """An open HDF5 file. Raises NotThisFormatError or MalformedError when it is none."""

    def __init__(self, source: Source) -> None:
        base = signature_at(source)
        if base is None:
            raise NotThisFormatError
        self._source = source
        self._heaps: dict[int, bytes] = {}
        head = source.some(base, 128)
        self.superblock = number(head, 8, 1)
        if self.superblock <= 1:
            self._o, self._l = number(head, 13, 1), number(head, 14, 1)
            start = 24 if self.superblock == 0 else 28
            self._base = self._number(head, start)
            root = self._number(head, start + 4 * self._width() + self._o)
        elif self.superblock <= 3:
            self._o, self._l = number(head, 9, 1), number(head, 10, 1)
            self._base = self._number(head, 12)
            root = self._number(head, 12 + 3 * self._width())
        else:
            raise MalformedError(f"its superblock has the unknown version {self.superblock}")
        self.root = self.node(root)

    def _width(self) -> int:
        if self._o not in (2, 4, 8) or self._l not in (2, 4, 8):
            raise MalformedError("its addresses have no size that the format knows")
        return self._o

    def _number(self, data: bytes, at: int) -> int:
        return number(data, at, self._width())

    def _bytes(self, at: int, count: int) -> bytes:
        return self._source.exactly(self._base + at, count)

    def node(self, address: int) -> Node:
        """The object at an address."""
        node = Node()
        start = self._bytes(address, 16)
        if start[:4] == b"OHDR":
            self._new_header(address, start, node)
        elif start[0] == 1:
            count, size = number(start, 2, 2), number(start, 8, 4)
            self._old_messages(address + 16, size, count, node)
        else:
            raise MalformedError(f"there is no object header at byte {self._base + address}")
        return node

    def _old_messages(self, at: int, size: int, count: int, node: Node) -> None:
        blocks, done = [(at, size)], 0
        while blocks and done < min(count, _MESSAGES):
            at, size = blocks.pop(0)
            data = self._block(at, size)
            place = 0
            while place + 8 <= len(data) and done < count:
                kind, length = number(data, place, 2), number(data, place + 2, 2)
                body = data[place + 8 : place + 8 + length]
                place, done = place + 8 + length, done + 1
                self._message(kind, body, node, blocks)

    def _block(self, at: int, size: int) -> bytes:
        self._source.step()
        if size > _TEXT:
            raise LimitError("an object header is larger than a scan reads")
        return self._bytes(at, size)

    def _new_header(self, address: int, start: bytes, node: Node) -> None:
        flags = start[5]
        at = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = number(self._bytes(address + at, width), 0, width)
        blocks = [(address + at + width, size)]
        order = 2 if flags & 4 else 0
        done = 0
        while blocks and done < _MESSAGES:
            where, length = blocks.pop(0)
            data = self._block(where, length)
            if data[:4] == b"OCHK":
                data = data[4:-4]
            place = 0
            while place + 4 + order <= len(data) and done < _MESSAGES:
                body_at = place + 4 + order
                body = data[body_at : body_at + number(data, place + 1, 2)]
                self._message(data[place], body, node, blocks)
                place, done = body_at + number(data, place + 1, 2), done + 1

    def _message(self, kind: int, body: bytes, node: Node, blocks: list[tuple[int, int]]) -> None:
        self._source.step()
        if kind == 0x0C:
            self._attribute(body, node)
        elif kind == 0x10:
            blocks.append((self._number(body, 0), number(body, self._o, self._l)))
        elif kind == 0x11:
            node.is_group = True
            self._symbols(self._number(body, 0), self._heap(self._number(body, self._o)), node, 0)
        elif kind == 0x06:
            node.is_group = True
            self._link(body, node)
        elif kind == 0x02:
            node.is_group = True
            at = 2 + (8 if number(body, 1, 1) & 1 else 0)
            node.dense |= self._defined(body, at)
        elif kind == 0x15:
            node.dense |= self._defined(body, 2 + (2 if number(body, 1, 1) & 1 else 0))

    def _defined(self, body: bytes, at: int) -> bool:
        return self._number(body, at) != (1 << 8 * self._o) - 1

    def _heap(self, address: int) -> bytes:
        head = self._bytes(address, 8 + 2 * self._l + self._o)
        if head[:4] != b"HEAP":
            raise MalformedError("a group has no heap of names")
        return self._block(self._number(head, 8 + 2 * self._l), number(head, 8, self._l))

    def _symbols(self, address: int, names: bytes, node: Node, depth: int) -> None:
        """A B-tree of a group, or one of its leaves."""
        if depth > 16:
            raise MalformedError("a tree of names is deeper than any real one")
        head = self._block(address, 8)
        if head[:4] == b"SNOD":
            self._leaf(address + 8, number(head, 6, 2), names, node)
            return
        if head[:4] != b"TREE":
            raise MalformedError(f"there is no tree of names at byte {self._base + address}")
        count, at = number(head, 6, 2), address + 8 + 2 * self._o
        data = self._block(at, count * (self._l + self._o))
        for i in range(count):
            child = self._number(data, i * (self._l + self._o) + self._l)
            self._symbols(child, names, node, depth + 1)

    def _leaf(self, at: int, count: int, names: bytes, node: Node) -> None:
        size = 2 * self._o + 24
        data = self._block(at, count * size)
        for i in range(count):
            self._source.step()
            start = self._number(data, i * size)
            end = names.find(b"\0", start)
            name = names[start : end if end >= 0 else None][:1024].decode("utf-8", "replace")
            node.members[name] = self._number(data, i * size + self._o)

    def _link(self, body: bytes, node: Node) -> None:
        flags, at, kind = number(body, 1, 1), 2, 0
        if flags & 8:
            kind, at = number(body, at, 1), at + 1
        at += (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
        width = 1 << (flags & 3)
        size, at = number(body, at, width), at + width
        if kind == 0:
            node.members[body[at : at + size].decode("utf-8", "replace")] = self._number(body, at + size)

    def _attribute(self, body: bytes, node: Node) -> None:
        version, flags = number(body, 0, 1), number(body, 1, 1)
        if version not in (1, 2, 3):
            raise MalformedError(f"an attribute has the unknown version {version}")
        sizes = [number(body, at, 2) for at in (2, 4, 6)]
        at = 9 if version == 3 else 8
        parts = []
        for size in sizes:
            parts.append(body[at : at + size])
            at += size + (-size % 8 if version == 1 else 0)
        name = parts[0].rstrip(b"\0").decode("utf-8", "replace")
        shared = version > 1 and flags & 3
        node.attributes[name] = None if shared else self._value(parts[1], self._count(parts[2]), body[at:])

    def _count(self, space: bytes) -> int | None:
        """Elements of a dataspace; None: a scalar."""
        version, rank = number(space, 0, 1), number(space, 1, 1)
        if rank == 0:
            return 0 if version == 2 and number(space, 3, 1) == 2 else None
        count = 1
        for i in range(rank):
            count *= number(space, (8 if version == 1 else 4) + i * self._l, self._l)
        return count

    def _value(self, kind: bytes, count: int | None, data: bytes) -> Value:
        group, size = number(kind, 0, 1) & 15, number(kind, 4, 4)
        todo = 1 if count is None else min(count, 100_000)
        if group == 3 and size:
            self._source.step(min(todo, len(data) // size))
            texts = [data[i * size : (i + 1) * size] for i in range(min(todo, len(data) // size))]
        elif group == 9 and number(kind, 1, 1) & 15 == 1:
            texts = [self._variable(data, i * (8 + self._o)) for i in range(min(todo, len(data) // (8 + self._o)))]
        elif group == 0 and count is None:
            return number(data, 0, min(size, 8))
        else:
            return None
        found = tuple(text.rstrip(b"\0").decode("utf-8", "replace") for text in texts)
        return (found[0] if found else None) if count is None else found

    def _texts(self, address: int) -> bytes:
        """A global heap; many texts lie in one."""
        if address not in self._heaps:
            size = number(self._bytes(address, 8 + self._l), 8, self._l)
            heap = self._block(address, size)
            if heap[:4] != b"GCOL":
                raise MalformedError("a text has no heap")
            self._heaps[address] = heap
        return self._heaps[address]

    def _variable(self, data: bytes, at: int) -> bytes:
        """A string of variable length, from its global heap."""
        length, address = number(data, at, 4), self._number(data, at + 4)
        index = number(data, at + 4 + self._o, 4)
        if not length or not address:
            return b""
        heap = self._texts(address)
        place = 8 + self._l
        while place + 8 + self._l <= len(heap):
            self._source.step()
            found, amount = number(heap, place, 2), number(heap, place + 8, self._l)
            if found == index:
                return heap[place + 8 + self._l :][: min(length, amount)]
            if not found:
                break
            place += 8 + self._l + amount + (-amount % 8)
        raise MalformedError("a text is not in its heap")
