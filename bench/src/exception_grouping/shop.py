import asyncio
import json
import random
import sys
import threading
import uuid

bug, seed = int(sys.argv[1]), int(sys.argv[2])
rng = random.Random(seed)


class StoreError(Exception):
    pass


class ServiceError(Exception):
    pass


class Order:
    def __init__(self, user=None):
        self.user = user

    def greet(self):
        return "hello " + self.user.name


def lookup(table, key):
    return table[key]


def price(item):
    return lookup({"tea": 3}, item)


def tax(country):
    return lookup({"de": 19}, country)


def parse_quantity(text):
    return int(text)


def mean(values):
    return sum(values) / len(values)


def store(row):
    raise StoreError(f"cannot store {object()} as row {row} of {uuid.UUID(int=rng.getrandbits(128))} after {rng.random():.3f} s")


def even(n, limit):
    return odd(n + 1, limit) if n < limit else lookup({}, "end")


def odd(n, limit):
    return even(n + 1, limit) if n < limit else lookup({}, "end")


def endless(n):
    return endless_too(n + 1) + 1


def endless_too(n):
    return endless(n + 1) + 1


def open_report(name):
    with open(f"/nowhere/{name}/report-{rng.randrange(10**6)}.txt") as handle:
        return handle.read()


def checkout(item):
    try:
        price(item)
    except KeyError as error:
        raise ServiceError(f"order {rng.randrange(10**6)} failed") from error


def load_settings(text):
    return json.loads(text)


async def fetch(delay):
    await asyncio.sleep(0)
    raise TimeoutError(f"no answer from 10.0.{rng.randrange(200)}.{rng.randrange(200)}:8080 within {delay} ms")


async def gather():
    await asyncio.gather(*(fetch(rng.randrange(900)) for _ in range(3)))


def total(items, depth):
    if depth > 0:
        return total(items, depth - 1)
    return items + 1


def discount(items):
    return items + 1


def firsts(rows):
    return [row[0] for row in rows]


def check(flag):
    assert flag


def decode(data):
    return data.decode("utf-8")


def worker(n):
    raise ValueError(f"worker {n} got a bad batch of {rng.randrange(1000)}")


def cancel(order):
    if order % 2 == 0:
        raise StoreError(f"order {order} is shipped already")
    raise ValueError(f"order {order} is shipped already")


def main():
    word = "".join(rng.choice("abcdefgh") for _ in range(6))
    runs = [
        lambda: price(word),
        lambda: tax(word),
        lambda: parse_quantity(word),
        lambda: mean([]),
        lambda: Order().greet(),
        lambda: store(rng.randrange(10**6)),
        lambda: even(0, 2 * rng.randrange(5, 200)),
        lambda: open_report(word),
        lambda: checkout(word),
        lambda: load_settings("{" + word),
        lambda: asyncio.run(gather()),
        lambda: total([], rng.randrange(1, 30)),
        lambda: discount([]),
        lambda: firsts([[1]] * rng.randrange(5) + [[]]),
        lambda: check(False),
        lambda: decode(b"a" * rng.randrange(50) + bytes([rng.randrange(0x80, 0xC0)])),
        lambda: start(rng.randrange(100)),
        lambda: cancel(2 * rng.randrange(10**5)),
        lambda: cancel(2 * rng.randrange(10**5) + 1),
    ]
    runs[bug]()


def start(n):
    thread = threading.Thread(target=worker, args=(n,), name=f"pool-{n}")
    thread.start()
    thread.join()


main()
