//! Node's runner, Mocha 11 and Jest 30.

use super::check;

#[test]
fn node_spec() {
    check(
        r#"✔ adds (0.823017ms)
✖ breaks (0.854084ms)
  AssertionError [ERR_ASSERTION]: Expected values to be strictly equal:
  
  2 !== 3
  
      at TestContext.<anonymous> (/srv/shop/n.test.js:3:31)
      at Test.runInAsyncScope (node:async_hooks:206:9)
      at Test.run (node:internal/test_runner/test:796:25)
      at Test.processPendingSubtests (node:internal/test_runner/test:526:18)
      at Test.postRun (node:internal/test_runner/test:889:19)
      at Test.run (node:internal/test_runner/test:835:12)
      at async Test.processPendingSubtests (node:internal/test_runner/test:526:7) {
    generatedMessage: true,
    code: 'ERR_ASSERTION',
    actual: 2,
    expected: 3,
    operator: 'strictEqual'
  }

﹣ later (0.198166ms) # not now
✖ todo it (0.131256ms) # TODO
  Error: x
      at TestContext.<anonymous> (/srv/shop/n.test.js:5:45)
      at Test.runInAsyncScope (node:async_hooks:206:9)
      at Test.run (node:internal/test_runner/test:796:25)
      at Test.processPendingSubtests (node:internal/test_runner/test:526:18)
      at Test.postRun (node:internal/test_runner/test:889:19)
      at Test.run (node:internal/test_runner/test:835:12)
      at async Test.processPendingSubtests (node:internal/test_runner/test:526:7)

▶ cart
  ✔ sums # not a comment (0.120239ms)
  ✖ fails (0.0669ms)
    TypeError [Error]: no
        at TestContext.<anonymous> (/srv/shop/n.test.js:6:90)
        at Test.runInAsyncScope (node:async_hooks:206:9)
        at Test.run (node:internal/test_runner/test:796:25)
        at Suite.processPendingSubtests (node:internal/test_runner/test:526:18)
        at Test.postRun (node:internal/test_runner/test:889:19)
        at Test.run (node:internal/test_runner/test:835:12)
        at async Promise.all (index 0)
        at async Suite.run (node:internal/test_runner/test:1135:7)
        at async Test.processPendingSubtests (node:internal/test_runner/test:526:7)

  ▶ deep
    ✔ x (0.071927ms)
  ✔ deep (0.152517ms)
✖ cart (0.629339ms)
ℹ tests 7
ℹ suites 2
ℹ pass 3
ℹ fail 2
ℹ cancelled 0
ℹ skipped 1
ℹ todo 1
ℹ duration_ms 234.444962

✖ failing tests:

test at n.test.js:3:1
✖ breaks (0.854084ms)
  AssertionError [ERR_ASSERTION]: Expected values to be strictly equal:
  
  2 !== 3
  
      at TestContext.<anonymous> (/srv/shop/n.test.js:3:31)
      at Test.runInAsyncScope (node:async_hooks:206:9)
      at Test.run (node:internal/test_runner/test:796:25)
      at Test.processPendingSubtests (node:internal/test_runner/test:526:18)
      at Test.postRun (node:internal/test_runner/test:889:19)
      at Test.run (node:internal/test_runner/test:835:12)
      at async Test.processPendingSubtests (node:internal/test_runner/test:526:7) {
    generatedMessage: true,
    code: 'ERR_ASSERTION',
    actual: 2,
    expected: 3,
    operator: 'strictEqual'
  }

test at n.test.js:5:1
✖ todo it (0.131256ms) # TODO
  Error: x
      at TestContext.<anonymous> (/srv/shop/n.test.js:5:45)
      at Test.runInAsyncScope (node:async_hooks:206:9)
      at Test.run (node:internal/test_runner/test:796:25)
      at Test.processPendingSubtests (node:internal/test_runner/test:526:18)
      at Test.postRun (node:internal/test_runner/test:889:19)
      at Test.run (node:internal/test_runner/test:835:12)
      at async Test.processPendingSubtests (node:internal/test_runner/test:526:7)

test at n.test.js:6:64
✖ fails (0.0669ms)
  TypeError [Error]: no
      at TestContext.<anonymous> (/srv/shop/n.test.js:6:90)
      at Test.runInAsyncScope (node:async_hooks:206:9)
      at Test.run (node:internal/test_runner/test:796:25)
      at Suite.processPendingSubtests (node:internal/test_runner/test:526:18)
      at Test.postRun (node:internal/test_runner/test:889:19)
      at Test.run (node:internal/test_runner/test:835:12)
      at async Promise.all (index 0)
      at async Suite.run (node:internal/test_runner/test:1135:7)
      at async Test.processPendingSubtests (node:internal/test_runner/test:526:7)"#,
        "",
        r#"
NodeTest: 3 passed, 2 failed, 2 skipped
Passed adds
Failed breaks
Passed cart > deep > x
Failed cart > fails
Passed cart > sums # not a comment
Skipped later
Skipped todo it
"#,
    );
}

#[test]
fn mocha_spec() {
    check(
        r#"

  ✔ top level
  cart
    ✔ adds
    1) breaks
    - later
    - pending one
    deep
      ✔ slow (81ms)
      ✔ adds
    hooky
      2) "before each" hook for "never"


  4 passing (101ms)
  2 pending
  2 failing

  1) cart
       breaks:

      AssertionError [ERR_ASSERTION]: Expected values to be strictly equal:

1 !== 2

      + expected - actual

      -1
      +2
      
      at Context.<anonymous> (moc/m.js:2:72)
      at process.processImmediate (node:internal/timers:483:21)

  2) cart
       hooky
         "before each" hook for "never":
     Error: hook
      at Context.<anonymous> (moc/m.js:4:49)
      at process.processImmediate (node:internal/timers:483:21)"#,
        "",
        r#"
Mocha: 4 passed, 2 failed, 2 skipped
Passed cart > adds
Failed cart > breaks
Passed cart > deep > adds
Passed cart > deep > slow
Failed cart > hooky > "before each" hook for "never"
Skipped cart > later
Skipped cart > pending one
Passed top level
"#,
    );
}

#[test]
fn jest_verbose() {
    check(
        "",
        r#"FAIL ./a.test.js
  ✓ top level (1 ms)
  cart
    ✓ adds (1 ms)
    ✕ breaks (2 ms)
    ○ skipped later
    ✎ todo td
    deep
      ✓ x (1 ms)

  ● cart › breaks

    expect(received).toBe(expected) // Object.is equality

    Expected: 2
    Received: 1

    > 1 | describe('cart', () => { test('adds', ()=>{}); test('breaks', ()=>{ expect(1).toBe(2); }); test.skip('later', ()=>{}); test.todo('td'); describe('deep', ()=>{ test('x', ()=>{}); }); });
        |                                                                               ^
      2 | test('top level', ()=>{});
      3 |

      at Object.toBe (a.test.js:1:79)

FAIL ./c.test.js
  ● Test suite failed to run

    Cannot find module './nope' from 'c.test.js'

    > 1 | require('./nope');
        | ^
      2 |

      at Resolver._throwModNotFoundError (../node_modules/jest-resolve/build/index.js:1031:11)
      at Object.require (c.test.js:1:1)

PASS ./b.test.js
  ✓ b one (25 ms)

Test Suites: 2 failed, 1 passed, 3 total
Tests:       1 failed, 1 skipped, 1 todo, 4 passed, 7 total
Snapshots:   0 total
Time:        1.623 s
Ran all test suites."#,
        r#"
Jest: 4 passed, 1 failed, 2 skipped
Passed ./a.test.js > cart > adds
Failed ./a.test.js > cart > breaks
Passed ./a.test.js > cart > deep > x
Skipped ./a.test.js > cart > later
Skipped ./a.test.js > cart > td
Passed ./a.test.js > top level
Passed ./b.test.js > b one
Error ./c.test.js
"#,
    );
}

#[test]
fn jest_default() {
    check(
        "",
        r#"FAIL ./a.test.js
  ● cart › breaks

    expect(received).toBe(expected) // Object.is equality

    Expected: 2
    Received: 1

    > 1 | describe('cart', () => { test('adds', ()=>{}); test('breaks', ()=>{ expect(1).toBe(2); }); test.skip('later', ()=>{}); test.todo('td'); describe('deep', ()=>{ test('x', ()=>{}); }); });
        |                                                                               ^
      2 | test('top level', ()=>{});
      3 |

      at Object.toBe (a.test.js:1:79)

FAIL ./c.test.js
  ● Test suite failed to run

    Cannot find module './nope' from 'c.test.js'

    > 1 | require('./nope');
        | ^
      2 |

      at Resolver._throwModNotFoundError (../node_modules/jest-resolve/build/index.js:1031:11)
      at Object.require (c.test.js:1:1)

PASS ./b.test.js
  ● Console

    console.log
      hi

      at Object.log (b.test.js:1:29)


Test Suites: 2 failed, 1 passed, 3 total
Tests:       1 failed, 1 skipped, 1 todo, 4 passed, 7 total
Snapshots:   0 total
Time:        1.61 s
Ran all test suites."#,
        r#"
Jest: 4 passed, 1 failed, 2 skipped, passing tests not named
Failed ./a.test.js > cart > breaks
Error ./c.test.js
"#,
    );
}
