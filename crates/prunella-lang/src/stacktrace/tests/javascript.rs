//! What Node.js 20 prints.

use super::check;

#[test]
fn uncaught_with_cause() {
    check(
        r#"/srv/shop/shop.js:4
function charge(o){ try { return fetchTotal(o); } catch (e) { throw new PaymentError('no total for order 4711', {cause: e}); } }
                                                              ^

PaymentError: no total for order 4711
    at charge (/srv/shop/shop.js:4:69)
    at Object.<anonymous> (/srv/shop/shop.js:6:24)
    ... 5 lines matching cause stack trace ...
    at node:internal/main/run_main_module:28:49 {
  [cause]: TypeError: Cannot read properties of undefined (reading 'total')
      at fetchTotal (/srv/shop/shop.js:3:39)
      at charge (/srv/shop/shop.js:4:34)
      at Object.<anonymous> (/srv/shop/shop.js:6:24)
      at Module._compile (node:internal/modules/cjs/loader:1521:14)
      at Module._extensions..js (node:internal/modules/cjs/loader:1623:10)
      at Module.load (node:internal/modules/cjs/loader:1266:32)
      at Module._load (node:internal/modules/cjs/loader:1091:12)
      at Function.executeUserEntryPoint [as runMain] (node:internal/modules/run_main:164:12)
      at node:internal/main/run_main_module:28:49
}

Node.js v20.20.2"#,
        r#"
Error | 22 lines
  JavaScript PaymentError: no total for order 4711
    shop.js:6 
    shop.js:4 charge
    and 1 foreign frames
    caused by JavaScript TypeError: Cannot read properties of undefined (reading 'total')
    caused by   shop.js:6 
    caused by   shop.js:4 charge
    caused by   shop.js:3 fetchTotal
    caused by   and 6 foreign frames
"#,
    );
}

#[test]
fn uncaught() {
    check(
        r#"/srv/shop/shop.js:3
function fetchTotal(o){ return o.cart.total; }
                                      ^

TypeError: Cannot read properties of undefined (reading 'total')
    at fetchTotal (/srv/shop/shop.js:3:39)
    at Object.<anonymous> (/srv/shop/shop.js:7:22)
    at Module._compile (node:internal/modules/cjs/loader:1521:14)
    at Module._extensions..js (node:internal/modules/cjs/loader:1623:10)
    at Module.load (node:internal/modules/cjs/loader:1266:32)
    at Module._load (node:internal/modules/cjs/loader:1091:12)
    at Function.executeUserEntryPoint [as runMain] (node:internal/modules/run_main:164:12)
    at node:internal/main/run_main_module:28:49

Node.js v20.20.2"#,
        r#"
Error | 15 lines
  JavaScript TypeError: Cannot read properties of undefined (reading 'total')
    shop.js:7 
    shop.js:3 fetchTotal
    and 6 foreign frames
"#,
    );
}

#[test]
fn rejection() {
    check(
        r#"/srv/shop/shop.js:4
function charge(o){ try { return fetchTotal(o); } catch (e) { throw new PaymentError('no total for order 4711', {cause: e}); } }
                                                                    ^

PaymentError: no total for order 4711
    at charge (/srv/shop/shop.js:4:69)
    at later (/srv/shop/shop.js:5:71) {
  [cause]: TypeError: Cannot read properties of undefined (reading 'total')
      at fetchTotal (/srv/shop/shop.js:3:39)
      at charge (/srv/shop/shop.js:4:34)
      at later (/srv/shop/shop.js:5:71)
}

Node.js v20.20.2"#,
        r#"
Error | 14 lines
  JavaScript PaymentError: no total for order 4711
    shop.js:5 later
    shop.js:4 charge
    caused by JavaScript TypeError: Cannot read properties of undefined (reading 'total')
    caused by   shop.js:5 later
    caused by   shop.js:4 charge
    caused by   shop.js:3 fetchTotal
"#,
    );
}

#[test]
fn missing_module() {
    check(
        r#"node:internal/modules/cjs/loader:1210
  throw err;
  ^

Error: Cannot find module './nope-module'
Require stack:
- /srv/shop/shop.js
    at Module._resolveFilename (node:internal/modules/cjs/loader:1207:15)
    at Module._load (node:internal/modules/cjs/loader:1038:27)
    at Module.require (node:internal/modules/cjs/loader:1289:19)
    at require (node:internal/modules/helpers:182:18)
    at Object.<anonymous> (/srv/shop/shop.js:17:19)
    at Module._compile (node:internal/modules/cjs/loader:1521:14)
    at Module._extensions..js (node:internal/modules/cjs/loader:1623:10)
    at Module.load (node:internal/modules/cjs/loader:1266:32)
    at Module._load (node:internal/modules/cjs/loader:1091:12)
    at Function.executeUserEntryPoint [as runMain] (node:internal/modules/run_main:164:12) {
  code: 'MODULE_NOT_FOUND',
  requireStack: [ '/srv/shop/shop.js' ]
}

Node.js v20.20.2"#,
        r#"
Error | 22 lines
  JavaScript Error: Cannot find module './nope-module'⏎Require stack:⏎- /srv/shop/shop.js
    shop.js:17 
    and 9 foreign frames
"#,
    );
}

#[test]
fn message_of_several_lines() {
    check(
        r#"/srv/shop/shop.js:18
if (mode==='multi') throw new Error('first line\nsecond line\n\nfourth: line');
                    ^

Error: first line
second line

fourth: line
    at Object.<anonymous> (/srv/shop/shop.js:18:27)
    at Module._compile (node:internal/modules/cjs/loader:1521:14)
    at Module._extensions..js (node:internal/modules/cjs/loader:1623:10)
    at Module.load (node:internal/modules/cjs/loader:1266:32)
    at Module._load (node:internal/modules/cjs/loader:1091:12)
    at Function.executeUserEntryPoint [as runMain] (node:internal/modules/run_main:164:12)
    at node:internal/main/run_main_module:28:49

Node.js v20.20.2"#,
        r#"
Error | 17 lines
  JavaScript Error: first line⏎second line⏎⏎fourth: line
    shop.js:18 
    and 6 foreign frames
"#,
    );
}

#[test]
fn emitter() {
    check(
        r#"node:events:502
      throw er; // Unhandled 'error' event
      ^

Error: listen EADDRINUSE: address already in use :::3000
    at Server.setupListenHandle [as _listen2] (node:net:1908:16)
    at listenInCluster (node:net:1965:12)
    at Server.listen (node:net:2067:7)
    at Server.<anonymous> (/srv/shop/shop.js:22:107)
    at Object.onceWrapper (node:events:638:28)
    at Server.emit (node:events:524:28)
    at emitListeningNT (node:net:1951:10)
    at process.processTicksAndRejections (node:internal/process/task_queues:81:21)
Emitted 'error' event on Server instance at:
    at emitErrorNT (node:net:1944:8)
    at process.processTicksAndRejections (node:internal/process/task_queues:82:21) {
  code: 'EADDRINUSE',
  errno: -98,
  syscall: 'listen',
  address: '::',
  port: 3000
}

Node.js v20.20.2"#,
        r#"
Error | 24 lines
  JavaScript Error: listen EADDRINUSE: address already in use :::3000
    shop.js:22 Server.<anonymous>
    and 7 foreign frames
"#,
    );
}

#[test]
fn eval_source() {
    check(
        r#"<anonymous_script>:3
return missing + 1
^

ReferenceError: missing is not defined
    at eval (eval at <anonymous> (/srv/shop/shop.js:23:25), <anonymous>:3:1)
    at Object.<anonymous> (/srv/shop/shop.js:23:59)
    at Module._compile (node:internal/modules/cjs/loader:1521:14)
    at Module._extensions..js (node:internal/modules/cjs/loader:1623:10)
    at Module.load (node:internal/modules/cjs/loader:1266:32)
    at Module._load (node:internal/modules/cjs/loader:1091:12)
    at Function.executeUserEntryPoint [as runMain] (node:internal/modules/run_main:164:12)
    at node:internal/main/run_main_module:28:49

Node.js v20.20.2"#,
        r#"
Error | 15 lines
  JavaScript ReferenceError: missing is not defined
    shop.js:23 
    and 7 foreign frames
"#,
    );
}

#[test]
fn methods() {
    check(
        r#"/srv/shop/shop.js:24
if (mode==='methods') { class A { static s(){ new A().m(); } m(){ [1].map(() => { (function(){ throw new RangeError('deep'); })(); }); } } A.s(); }
                                                                                               ^

RangeError: deep
    at /srv/shop/shop.js:24:102
    at /srv/shop/shop.js:24:128
    at Array.map (<anonymous>)
    at A.m (/srv/shop/shop.js:24:71)
    at A.s (/srv/shop/shop.js:24:55)
    at Object.<anonymous> (/srv/shop/shop.js:24:142)
    at Module._compile (node:internal/modules/cjs/loader:1521:14)
    at Module._extensions..js (node:internal/modules/cjs/loader:1623:10)
    at Module.load (node:internal/modules/cjs/loader:1266:32)
    at Module._load (node:internal/modules/cjs/loader:1091:12)

Node.js v20.20.2"#,
        r#"
Error | 17 lines
  JavaScript RangeError: deep
    shop.js:24 
    shop.js:24 A.s
    shop.js:24 A.m
    shop.js:24 
    shop.js:24 
    and 5 foreign frames
"#,
    );
}

#[test]
fn no_message() {
    check(
        r#"/srv/shop/shop.js:26
if (mode==='emptymsg') { throw new Error(); }
                         ^

Error
    at Object.<anonymous> (/srv/shop/shop.js:26:32)
    at Module._compile (node:internal/modules/cjs/loader:1521:14)
    at Module._extensions..js (node:internal/modules/cjs/loader:1623:10)
    at Module.load (node:internal/modules/cjs/loader:1266:32)
    at Module._load (node:internal/modules/cjs/loader:1091:12)
    at Function.executeUserEntryPoint [as runMain] (node:internal/modules/run_main:164:12)
    at node:internal/main/run_main_module:28:49

Node.js v20.20.2"#,
        r#"
Error | 14 lines
  JavaScript Error: 
    shop.js:26 
    and 6 foreign frames
"#,
    );
}

#[test]
fn syntax_error() {
    check(
        r#"/srv/shop/bad.js:3



SyntaxError: Unexpected end of input
    at wrapSafe (node:internal/modules/cjs/loader:1464:18)
    at Module._compile (node:internal/modules/cjs/loader:1495:20)
    at Module._extensions..js (node:internal/modules/cjs/loader:1623:10)
    at Module.load (node:internal/modules/cjs/loader:1266:32)
    at Module._load (node:internal/modules/cjs/loader:1091:12)
    at Function.executeUserEntryPoint [as runMain] (node:internal/modules/run_main:164:12)
    at node:internal/main/run_main_module:28:49

Node.js v20.20.2"#,
        r#"
Error | 14 lines
  JavaScript SyntaxError: Unexpected end of input
    and 7 foreign frames
"#,
    );
}

#[test]
fn module() {
    check(
        r#"file:///srv/shop/m.mjs:1
export function g(o) { return o.x.y; }
                                  ^

TypeError: Cannot read properties of undefined (reading 'y')
    at g (file:///srv/shop/m.mjs:1:35)
    at file:///srv/shop/m.mjs:2:1
    at ModuleJob.run (node:internal/modules/esm/module_job:325:25)
    at async ModuleLoader.import (node:internal/modules/esm/loader:606:24)
    at async asyncRunEntryPointWithESMLoader (node:internal/modules/run_main:117:5)

Node.js v20.20.2"#,
        r#"
Error | 12 lines
  JavaScript TypeError: Cannot read properties of undefined (reading 'y')
    m.mjs:2 
    m.mjs:1 g
    and 3 foreign frames
"#,
    );
}
