const fs = require('fs');
const bug = Number(process.argv[2]);
let state = Number(process.argv[3]) % 2147483647;

function random(n) {
  state = (state * 48271) % 2147483647;
  return state % n;
}

class StoreError extends Error {
  constructor(message) {
    super(message);
    this.name = 'StoreError';
  }
}

class Cart {
  constructor(user) {
    this.user = user;
  }

  owner() {
    return this.user.name;
  }

  get size() {
    return this.items.length;
  }
}

function greet(user) {
  return user.name;
}

function store(row) {
  throw new StoreError(`cannot store row ${row} at 0x${random(1e9).toString(16)} after ${random(900)} ms`);
}

function even(n) {
  return odd(n + 1) + 1;
}

function odd(n) {
  return even(n + 1) + 1;
}

function down(n) {
  return n > 0 ? down(n - 1) : greet(undefined);
}

function settings(text) {
  return JSON.parse(text);
}

async function fetchPrice(item) {
  await null;
  throw new Error(`no price for item ${item} at http://10.0.0.${random(200)}:80/p/${item}`);
}

async function checkout(item) {
  try {
    await fetchPrice(item);
  } catch (error) {
    throw new Error(`order ${random(1e6)} failed`, { cause: error });
  }
}

function report(name) {
  return fs.readFileSync(`/nowhere/${name}/${random(1e6)}.txt`);
}

function names(users) {
  return users.map((user) => user.name.first);
}

function cancel(order) {
  if (order % 2 === 0) {
    throw new StoreError(`order ${order} is shipped already`);
  }
  throw new RangeError(`order ${order} is shipped already`);
}

const runs = [
  () => new Cart(undefined).owner(),
  () => greet(undefined),
  () => store(random(1e6)),
  () => even(0),
  () => down(1 + random(6)),
  () => settings(`{${random(1e6)}`),
  () => fetchPrice(random(1e6)),
  () => checkout(random(1e6)),
  () => report(`r${random(1e6)}`),
  () => names([{ name: { first: 'a' } }, {}]),
  () => cancel(2 * random(1e5)),
  () => cancel(2 * random(1e5) + 1),
  () => new Cart(1).size,
];

runs[bug]();
