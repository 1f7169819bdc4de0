//! Vitest 4.

use super::check;

#[test]
fn vitest_default() {
    check(
        r#"
 RUN  v4.1.12 /srv/shop

 ❯ a.test.js (6 tests | 1 failed | 1 skipped | 1 todo) 6ms
     ✓ adds 1ms
     × breaks 3ms
     ↓ later
     □ td
       ✓ x 0ms
   ✓ top level 0ms
 ❯ c.test.js (0 test)
 ✓ b.test.js (1 test) 1ms

 Test Files  2 failed | 1 passed (3)
      Tests  1 failed | 4 passed | 1 skipped | 1 todo (7)
   Start at  06:41:42
   Duration  450ms (transform 14ms, setup 0ms, import 24ms, tests 7ms, environment 0ms)

"#,
        r#"
⎯⎯⎯⎯⎯⎯ Failed Suites 1 ⎯⎯⎯⎯⎯⎯⎯

 FAIL  c.test.js [ c.test.js ]
Error: Cannot find module './nope' imported from /srv/shop/c.test.js
 ❯ c.test.js:1:1
      1| import './nope';
       | ^
      2|

⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯[1/2]⎯


⎯⎯⎯⎯⎯⎯⎯ Failed Tests 1 ⎯⎯⎯⎯⎯⎯⎯

 FAIL  a.test.js > cart > breaks
AssertionError: expected 1 to be 2 // Object.is equality

- Expected
+ Received

- 2
+ 1

 ❯ a.test.js:2:75
      1| import { describe, it, expect, test } from 'vitest';
      2| describe('cart', () => { it('adds', ()=>{}); it('breaks', ()=>{ expect…
       |                                                                           ^
      3| test('top level', ()=>{});
      4|

⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯[2/2]⎯

"#,
        r#"
Vitest: 4 passed, 1 failed, 2 skipped, passing tests not named
Failed a.test.js > cart > breaks
Error c.test.js
"#,
    );
}

#[test]
fn vitest_verbose() {
    check(
        r#"
 RUN  v4.1.12 /srv/shop

 ✓ a.test.js > cart > adds 1ms
 × a.test.js > cart > breaks 3ms
   → expected 1 to be 2 // Object.is equality
 ↓ a.test.js > cart > later
 □ a.test.js > cart > td
 ✓ a.test.js > cart > deep > x 0ms
 ✓ a.test.js > top level 0ms
 ✓ b.test.js > b one 1ms

 Test Files  2 failed | 1 passed (3)
      Tests  1 failed | 4 passed | 1 skipped | 1 todo (7)
   Start at  06:41:43
   Duration  494ms (transform 15ms, setup 0ms, import 27ms, tests 7ms, environment 0ms)

"#,
        r#"
⎯⎯⎯⎯⎯⎯ Failed Suites 1 ⎯⎯⎯⎯⎯⎯⎯

 FAIL  c.test.js [ c.test.js ]
Error: Cannot find module './nope' imported from /srv/shop/c.test.js
 ❯ c.test.js:1:1
      1| import './nope';
       | ^
      2|

⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯
Serialized Error: { code: 'ERR_MODULE_NOT_FOUND' }
⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯[1/2]⎯


⎯⎯⎯⎯⎯⎯⎯ Failed Tests 1 ⎯⎯⎯⎯⎯⎯⎯

 FAIL  a.test.js > cart > breaks
AssertionError: expected 1 to be 2 // Object.is equality

- Expected
+ Received

- 2
+ 1

 ❯ a.test.js:2:75
      1| import { describe, it, expect, test } from 'vitest';
      2| describe('cart', () => { it('adds', ()=>{}); it('breaks', ()=>{ expect…
       |                                                                           ^
      3| test('top level', ()=>{});
      4|

⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯[2/2]⎯

"#,
        r#"
Vitest: 4 passed, 1 failed, 2 skipped
Passed a.test.js > cart > adds
Failed a.test.js > cart > breaks
Passed a.test.js > cart > deep > x
Skipped a.test.js > cart > later
Skipped a.test.js > cart > td
Passed a.test.js > top level
Passed b.test.js > b one
Error c.test.js
"#,
    );
}
