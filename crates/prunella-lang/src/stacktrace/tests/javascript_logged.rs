//! Node.js errors that were logged, not thrown, and those that have no usual shape.

use super::check;

#[test]
fn rejection_of_no_error() {
    check(
        r#"node:internal/process/promises:389
      new UnhandledPromiseRejection(reason);
      ^

UnhandledPromiseRejection: This error originated either by throwing inside of an async function without a catch block, or by rejecting a promise which was not handled with .catch(). The promise rejected with the reason "just a string".
    at throwUnhandledRejectionsMode (node:internal/process/promises:389:7)
    at processPromiseRejections (node:internal/process/promises:470:17)
    at process.processTicksAndRejections (node:internal/process/task_queues:96:32) {
  code: 'ERR_UNHANDLED_REJECTION'
}

Node.js v20.20.2"#,
        r#"
Error | 12 lines
  JavaScript UnhandledPromiseRejection: This error originated either by throwing inside of an async function without a catch block, or by rejecting a promise which was not handled with .catch(). The promise rejected with the reason "just a string".
    and 3 foreign frames
"#,
    );
}

#[test]
fn console_error() {
    check(
        r#"PaymentError: no total for order 4711
    at charge (/srv/shop/shop.js:4:69)
    at Object.<anonymous> (/srv/shop/shop.js:11:31)
    ... 5 lines matching cause stack trace ...
    at node:internal/main/run_main_module:28:49 {
  [cause]: TypeError: Cannot read properties of undefined (reading 'total')
      at fetchTotal (/srv/shop/shop.js:3:39)
      at charge (/srv/shop/shop.js:4:34)
      at Object.<anonymous> (/srv/shop/shop.js:11:31)
      at Module._compile (node:internal/modules/cjs/loader:1521:14)
      at Module._extensions..js (node:internal/modules/cjs/loader:1623:10)
      at Module.load (node:internal/modules/cjs/loader:1266:32)
      at Module._load (node:internal/modules/cjs/loader:1091:12)
      at Function.executeUserEntryPoint [as runMain] (node:internal/modules/run_main:164:12)
      at node:internal/main/run_main_module:28:49
}
next line"#,
        r#"
Error | 16 lines
  JavaScript PaymentError: no total for order 4711
    shop.js:11 
    shop.js:4 charge
    and 1 foreign frames
    caused by JavaScript TypeError: Cannot read properties of undefined (reading 'total')
    caused by   shop.js:11 
    caused by   shop.js:4 charge
    caused by   shop.js:3 fetchTotal
    caused by   and 6 foreign frames
? | next line
"#,
    );
}

#[test]
fn extra_properties() {
    check(
        r#"Error: with props
    at Object.<anonymous> (/srv/shop/shop.js:12:33)
    at Module._compile (node:internal/modules/cjs/loader:1521:14)
    at Module._extensions..js (node:internal/modules/cjs/loader:1623:10)
    at Module.load (node:internal/modules/cjs/loader:1266:32)
    at Module._load (node:internal/modules/cjs/loader:1091:12)
    at Function.executeUserEntryPoint [as runMain] (node:internal/modules/run_main:164:12)
    at node:internal/main/run_main_module:28:49 {
  code: 'ECONN',
  details: { a: [ 1, 2 ], b: 'x' }
}
prefix Error: with props
    at Object.<anonymous> (/srv/shop/shop.js:12:33)
    at Module._compile (node:internal/modules/cjs/loader:1521:14)
    at Module._extensions..js (node:internal/modules/cjs/loader:1623:10)
    at Module.load (node:internal/modules/cjs/loader:1266:32)
    at Module._load (node:internal/modules/cjs/loader:1091:12)
    at Function.executeUserEntryPoint [as runMain] (node:internal/modules/run_main:164:12)
    at node:internal/main/run_main_module:28:49 {
  code: 'ECONN',
  details: { a: [ 1, 2 ], b: 'x' }
}
done"#,
        r#"
Error | 11 lines
  JavaScript Error: with props
    shop.js:12 
    and 6 foreign frames
Error | 11 lines
  JavaScript Error: with props
    shop.js:12 
    and 6 foreign frames
? | done
"#,
    );
}

#[test]
fn aggregate() {
    check(
        r#"node:internal/process/promises:391
    triggerUncaughtException(err, true /* fromPromise */);
    ^

[AggregateError: All promises were rejected] {
  [errors]: [
    Error: a
        at Object.<anonymous> (/srv/shop/shop.js:14:49)
        at Module._compile (node:internal/modules/cjs/loader:1521:14)
        at Module._extensions..js (node:internal/modules/cjs/loader:1623:10)
        at Module.load (node:internal/modules/cjs/loader:1266:32)
        at Module._load (node:internal/modules/cjs/loader:1091:12)
        at Function.executeUserEntryPoint [as runMain] (node:internal/modules/run_main:164:12)
        at node:internal/main/run_main_module:28:49,
    TypeError: b
        at Object.<anonymous> (/srv/shop/shop.js:14:81)
        at Module._compile (node:internal/modules/cjs/loader:1521:14)
        at Module._extensions..js (node:internal/modules/cjs/loader:1623:10)
        at Module.load (node:internal/modules/cjs/loader:1266:32)
        at Module._load (node:internal/modules/cjs/loader:1091:12)
        at Function.executeUserEntryPoint [as runMain] (node:internal/modules/run_main:164:12)
        at node:internal/main/run_main_module:28:49
  ]
}

Node.js v20.20.2"#,
        r#"
Error | 26 lines
  JavaScript AggregateError: All promises were rejected
    caused by JavaScript Error: a
    caused by   shop.js:14 
    caused by   and 6 foreign frames
    caused by JavaScript TypeError: b
    caused by   shop.js:14 
    caused by   and 6 foreign frames
"#,
    );
}

#[test]
fn thrown_string() {
    check(
        r#"
/srv/shop/shop.js:19
if (mode==='throwstr') throw 'a string';
                       ^
a string
(Use `node --trace-uncaught ...` to show where the exception was thrown)

Node.js v20.20.2"#,
        r#"
Error | 7 lines
  JavaScript Uncaught: a string
    shop.js:19 
"#,
    );
}

#[test]
fn no_stack() {
    check(
        r#"/srv/shop/shop.js:25
if (mode==='nostack') { Error.stackTraceLimit = 0; throw new Error('nostack'); }
                                                   ^

[Error: nostack]

Node.js v20.20.2"#,
        r#"
Error | 7 lines
  JavaScript Error: nostack
    shop.js:25 
"#,
    );
}

#[test]
fn assertion() {
    check(
        r#"node:assert:90
  throw new AssertionError(obj);
  ^

AssertionError [ERR_ASSERTION]: Expected values to be strictly deep-equal:
+ actual - expected

  {
+   a: 1,
-   a: 2,
    b: [
      1
    ]
  }
    at Object.<anonymous> (/srv/shop/shop.js:27:42)
    at Module._compile (node:internal/modules/cjs/loader:1521:14)
    at Module._extensions..js (node:internal/modules/cjs/loader:1623:10)
    at Module.load (node:internal/modules/cjs/loader:1266:32)
    at Module._load (node:internal/modules/cjs/loader:1091:12)
    at Function.executeUserEntryPoint [as runMain] (node:internal/modules/run_main:164:12)
    at node:internal/main/run_main_module:28:49 {
  generatedMessage: true,
  code: 'ERR_ASSERTION',
  actual: { a: 1, b: [ 1 ] },
  expected: { a: 2, b: [ 1 ] },
  operator: 'deepStrictEqual'
}

Node.js v20.20.2"#,
        r#"
Error | 29 lines
  JavaScript AssertionError: Expected values to be strictly deep-equal:⏎+ actual - expected⏎⏎  {⏎+   a: 1,⏎-   a: 2,⏎    b: [⏎      1⏎    ]⏎  }
    shop.js:27 
    and 6 foreign frames
"#,
    );
}

#[test]
fn console_error_in_colour() {
    check(
        r#"PaymentError: no total for order 4711
    at charge ␛[90m(/srv/␛[39mshop/shop.js:4:69␛[90m)␛[39m
    at Object.<anonymous> ␛[90m(/srv/␛[39mshop/shop.js:11:31␛[90m)␛[39m
␛[90m    ... 5 lines matching cause stack trace ...␛[39m
␛[90m    at node:internal/main/run_main_module:28:49␛[39m {
  [cause]: TypeError: Cannot read properties of undefined (reading 'total')
      at fetchTotal ␛[90m(/srv/␛[39mshop/shop.js:3:39␛[90m)␛[39m
      at charge ␛[90m(/srv/␛[39mshop/shop.js:4:34␛[90m)␛[39m
      at Object.<anonymous> ␛[90m(/srv/␛[39mshop/shop.js:11:31␛[90m)␛[39m
  ␛[90m    at Module._compile (node:internal/modules/cjs/loader:1521:14)␛[39m
  ␛[90m    at Module._extensions..js (node:internal/modules/cjs/loader:1623:10)␛[39m
  ␛[90m    at Module.load (node:internal/modules/cjs/loader:1266:32)␛[39m
  ␛[90m    at Module._load (node:internal/modules/cjs/loader:1091:12)␛[39m
  ␛[90m    at Function.executeUserEntryPoint [as runMain] (node:internal/modules/run_main:164:12)␛[39m
  ␛[90m    at node:internal/main/run_main_module:28:49␛[39m
}
next line"#,
        r#"
Error | 16 lines
  JavaScript PaymentError: no total for order 4711
    shop.js:11 
    shop.js:4 charge
    and 1 foreign frames
    caused by JavaScript TypeError: Cannot read properties of undefined (reading 'total')
    caused by   shop.js:11 
    caused by   shop.js:4 charge
    caused by   shop.js:3 fetchTotal
    caused by   and 6 foreign frames
? | next line
"#,
    );
}

#[test]
fn pino() {
    check(
        r#"{"level":50,"time":1795500998323,"pid":15203,"hostname":"vm","err":{"type":"TypeError","message":"Cannot read properties of null (reading 'x')","stack":"TypeError: Cannot read properties of null (reading 'x')\n    at Object.<anonymous> (/srv/shop/pino.js:1:41)\n    at Module._compile (node:internal/modules/cjs/loader:1521:14)\n    at Module._extensions..js (node:internal/modules/cjs/loader:1623:10)\n    at Module.load (node:internal/modules/cjs/loader:1266:32)\n    at Module._load (node:internal/modules/cjs/loader:1091:12)\n    at Function.executeUserEntryPoint [as runMain] (node:internal/modules/run_main:164:12)\n    at node:internal/main/run_main_module:28:49"},"msg":"oops"}
{"level":40,"time":1795500998326,"pid":15203,"hostname":"vm","msg":"hi"}"#,
        r#"
Error | 1 lines
  JavaScript TypeError: Cannot read properties of null (reading 'x')
    pino.js:1 
    and 6 foreign frames
Warn | {"level":40,"time":1795500998326,"pid":15203,"hostname":"vm","msg":"hi"}
"#,
    );
}

#[test]
fn express() {
    check(
        r#"shop listening on http://localhost:3000
TypeError: Cannot read properties of undefined (reading 'total')
    at /srv/shop/ex.js:1:68
    at Layer.handleRequest (/srv/shop/node_modules/router/lib/layer.js:169:33)
    at next (/srv/shop/node_modules/router/lib/route.js:163:13)
Error: bad y
    at /srv/shop/ex.js:1:113
    at Layer.handleRequest (/srv/shop/node_modules/router/lib/layer.js:169:33)
GET /ok 200"#,
        r#"
? | shop listening on http://localhost:3000
Error | 4 lines
  JavaScript TypeError: Cannot read properties of undefined (reading 'total')
    ex.js:1 
    and 2 foreign frames
Error | 3 lines
  JavaScript Error: bad y
    ex.js:1 
    and 1 foreign frames
? | GET /ok 200
"#,
    );
}

#[test]
fn docker_compose() {
    check(
        r#"api_1  | /srv/shop/shop.js:3
api_1  | function fetchTotal(o){ return o.cart.total; }
api_1  |                                       ^
api_1  | 
api_1  | TypeError: Cannot read properties of undefined (reading 'total')
api_1  |     at fetchTotal (/srv/shop/shop.js:3:39)
api_1  |     at Object.<anonymous> (/srv/shop/shop.js:7:22)
api_1  |     at Module._compile (node:internal/modules/cjs/loader:1521:14)
api_1  |     at Module._extensions..js (node:internal/modules/cjs/loader:1623:10)
api_1  |     at Module.load (node:internal/modules/cjs/loader:1266:32)
api_1  |     at Module._load (node:internal/modules/cjs/loader:1091:12)
api_1  |     at Function.executeUserEntryPoint [as runMain] (node:internal/modules/run_main:164:12)
api_1  |     at node:internal/main/run_main_module:28:49
api_1  | 
api_1  | Node.js v20.20.2"#,
        r#"
Error | 15 lines
  JavaScript TypeError: Cannot read properties of undefined (reading 'total')
    shop.js:7 
    shop.js:3 fetchTotal
    and 6 foreign frames
"#,
    );
}
