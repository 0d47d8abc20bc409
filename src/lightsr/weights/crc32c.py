"""CRC-32C (Castagnoli), the checksum of TensorFlow's checkpoints, fast enough in NumPy."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL = 0x82F63B78  # reversed, as the checksum runs from the lowest bit on


def crc32c(data: bytes) -> int:
    """Return the checksum of `data`.

    The data is cut into rows that are gone through side by side. A checksum is linear, so that one
    row's goes on over the next as over zeros, and zeros act on each byte of it apart.
    """
    if not data:
        return 0
    width = math.isqrt(len(data)) + 4
    # Zeros in front change nothing where the register starts at zero; that it starts at all ones
    # comes to the same as inverting the first four bytes.
    padded = np.zeros(-(-len(data) // width) * width, np.uint32)
    padded[len(padded) - len(data) :] = np.frombuffer(data, np.uint8)
    if len(data) < 4:
        return _continued(0xFFFFFFFF, padded[len(padded) - len(data) :]) ^ 0xFFFFFFFF
    padded[len(padded) - len(data) :][:4] ^= 0xFF
    rows = padded.reshape(-1, width)
    # Below the rows, what `width` zeros make of every value of each of a register's four bytes.
    registers = np.concatenate((np.zeros(len(rows), np.uint32), _bytes_of_register()))
    columns = np.zeros((width, len(registers)), np.uint32)
    columns[:, : len(rows)] = rows.T
    for column in columns:
        registers = _TABLE[(registers ^ column) & 0xFF] ^ (registers >> 8)
    moved = registers[len(rows) :].reshape(4, 256).tolist()
    total = 0
    for register in registers[: len(rows)].tolist():
        total = register ^ (
            moved[0][total & 0xFF]
            ^ moved[1][total >> 8 & 0xFF]
            ^ moved[2][total >> 16 & 0xFF]
            ^ moved[3][total >> 24]
        )
    return total ^ 0xFFFFFFFF


def masked_crc32c(data: bytes) -> int:
    """Return the checksum as TensorFlow and LevelDB store it: turned by 15 bits, and moved on."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _table() -> NDArray[np.uint32]:
    table: NDArray[np.uint32] = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ _POLYNOMIAL, table >> 1).astype(np.uint32)
    return table


_TABLE = _table()


def _bytes_of_register() -> NDArray[np.uint32]:
    values = np.arange(256, dtype=np.uint32)
    return np.concatenate([values << shift for shift in (0, 8, 16, 24)]).astype(np.uint32)


def _continued(register: int, data: NDArray[np.uint32]) -> int:
    for byte in data.tolist():
        register = int(_TABLE[(register ^ byte) & 0xFF]) ^ register >> 8
    return register
