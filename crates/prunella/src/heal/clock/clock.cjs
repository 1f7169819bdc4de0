// Shifts the wall clock of this process by CLOCK_OFFSET_MS.
"use strict";
const offset = Number(process.env.CLOCK_OFFSET_MS || "0");
const RealDate = Date;
const now = () => RealDate.now() + offset;
globalThis.Date = new Proxy(RealDate, {
  construct(target, args, newTarget) {
    return Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget);
  },
  apply() {
    return new RealDate(now()).toString();
  },
  get(target, name, receiver) {
    return name === "now" ? now : Reflect.get(target, name, receiver);
  },
});
