//! What CPython prints, version by version.

use super::check;

#[test]
fn chain_3_6() {
    check(
        r#"Traceback (most recent call last):
  File "shop.py", line 8, in charge
    return fetch(order, "total")
  File "shop.py", line 5, in fetch
    return d[k]
KeyError: 'total'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "shop.py", line 13, in handler
    charge({})
  File "shop.py", line 10, in charge
    raise PaymentError("no total for order 4711") from e
__main__.PaymentError: no total for order 4711

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "shop.py", line 18, in <module>
    handler()
  File "shop.py", line 15, in handler
    int("x" + "y")
ValueError: invalid literal for int() with base 10: 'xy'"#,
        r#"
Error | 24 lines
  Python ValueError: invalid literal for int() with base 10: 'xy'
    shop.py:18 
    shop.py:15 handler
    caused by Python PaymentError: no total for order 4711
    caused by   shop.py:13 handler
    caused by   shop.py:10 charge
    caused by Python KeyError: 'total'
    caused by   shop.py:8 charge
    caused by   shop.py:5 fetch
"#,
    );
}

#[test]
fn chain_3_13() {
    check(
        r#"Traceback (most recent call last):
  File "/srv/shop/shop.py", line 8, in charge
    return fetch(order, "total")
  File "/srv/shop/shop.py", line 5, in fetch
    return d[k]
           ~^^^
KeyError: 'total'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/srv/shop/shop.py", line 13, in handler
    charge({})
    ~~~~~~^^^^
  File "/srv/shop/shop.py", line 10, in charge
    raise PaymentError("no total for order 4711") from e
PaymentError: no total for order 4711

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/shop/shop.py", line 18, in <module>
    handler()
    ~~~~~~~^^
  File "/srv/shop/shop.py", line 15, in handler
    int("x" + "y")
    ~~~^^^^^^^^^^^
ValueError: invalid literal for int() with base 10: 'xy'"#,
        r#"
Error | 28 lines
  Python ValueError: invalid literal for int() with base 10: 'xy'
    shop.py:18 
    shop.py:15 handler
    caused by Python PaymentError: no total for order 4711
    caused by   shop.py:13 handler
    caused by   shop.py:10 charge
    caused by Python KeyError: 'total'
    caused by   shop.py:8 charge
    caused by   shop.py:5 fetch
"#,
    );
}

#[test]
fn chain_3_13_in_colour() {
    check(
        r#"Traceback (most recent call last):
  File ␛[35m"/srv/shop/shop.py"␛[0m, line ␛[35m8␛[0m, in ␛[35mcharge␛[0m
    return fetch(order, "total")
  File ␛[35m"/srv/shop/shop.py"␛[0m, line ␛[35m5␛[0m, in ␛[35mfetch␛[0m
    return ␛[31md␛[0m␛[1;31m[k]␛[0m
           ␛[31m~␛[0m␛[1;31m^^^␛[0m
␛[1;35mKeyError␛[0m: ␛[35m'total'␛[0m

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File ␛[35m"/srv/shop/shop.py"␛[0m, line ␛[35m13␛[0m, in ␛[35mhandler␛[0m
    ␛[31mcharge␛[0m␛[1;31m({})␛[0m
    ␛[31m~~~~~~␛[0m␛[1;31m^^^^␛[0m
  File ␛[35m"/srv/shop/shop.py"␛[0m, line ␛[35m10␛[0m, in ␛[35mcharge␛[0m
    raise PaymentError("no total for order 4711") from e
␛[1;35mPaymentError␛[0m: ␛[35mno total for order 4711␛[0m

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File ␛[35m"/srv/shop/shop.py"␛[0m, line ␛[35m18␛[0m, in ␛[35m<module>␛[0m
    ␛[31mhandler␛[0m␛[1;31m()␛[0m
    ␛[31m~~~~~~~␛[0m␛[1;31m^^␛[0m
  File ␛[35m"/srv/shop/shop.py"␛[0m, line ␛[35m15␛[0m, in ␛[35mhandler␛[0m
    ␛[31mint␛[0m␛[1;31m("x" + "y")␛[0m
    ␛[31m~~~␛[0m␛[1;31m^^^^^^^^^^^␛[0m
␛[1;35mValueError␛[0m: ␛[35minvalid literal for int() with base 10: 'xy'␛[0m"#,
        r#"
Error | 28 lines
  Python ValueError: invalid literal for int() with base 10: 'xy'
    shop.py:18 
    shop.py:15 handler
    caused by Python PaymentError: no total for order 4711
    caused by   shop.py:13 handler
    caused by   shop.py:10 charge
    caused by Python KeyError: 'total'
    caused by   shop.py:8 charge
    caused by   shop.py:5 fetch
"#,
    );
}

#[test]
fn message_of_several_lines() {
    check(
        r#"Traceback (most recent call last):
  File "/srv/shop/shop.py", line 38, in <module>
    m()
  File "/srv/shop/shop.py", line 37, in m
    raise ValueError("first line\nsecond line\n\nfourth: line")
ValueError: first line
second line

fourth: line"#,
        r#"
Error | 7 lines
  Python ValueError: first line⏎second line
    shop.py:38 
    shop.py:37 m
? | fourth: line
"#,
    );
}

#[test]
fn recursion() {
    check(
        r#"Traceback (most recent call last):
  File "/srv/shop/shop.py", line 34, in <module>
    r(0)
  File "/srv/shop/shop.py", line 33, in r
    return r(n + 1) + 1
           ^^^^^^^^
  File "/srv/shop/shop.py", line 33, in r
    return r(n + 1) + 1
           ^^^^^^^^
  File "/srv/shop/shop.py", line 33, in r
    return r(n + 1) + 1
           ^^^^^^^^
  [Previous line repeated 996 more times]
RecursionError: maximum recursion depth exceeded"#,
        r#"
Error | 14 lines
  Python RecursionError: maximum recursion depth exceeded
    shop.py:34 
    shop.py:33 r
    shop.py:33 r
    shop.py:33 r
"#,
    );
}

#[test]
fn exception_group() {
    check(
        r#"  + Exception Group Traceback (most recent call last):
  |   File "/srv/shop/shop.py", line 30, in <module>
  |     g()
  |     ~^^
  |   File "/srv/shop/shop.py", line 29, in g
  |     raise ExceptionGroup("two failed", [ra, ExceptionGroup("nested", [rb])])
  | ExceptionGroup: two failed (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/srv/shop/shop.py", line 22, in g
    |     fetch({}, "a")
    |     ~~~~~^^^^^^^^^
    |   File "/srv/shop/shop.py", line 5, in fetch
    |     return d[k]
    |            ~^^^
    | KeyError: 'a'
    +---------------- 2 ----------------
    | ExceptionGroup: nested (1 sub-exception)
    +-+---------------- 1 ----------------
      | Traceback (most recent call last):
      |   File "/srv/shop/shop.py", line 26, in g
      |     int("z")
      |     ~~~^^^^^
      | ValueError: invalid literal for int() with base 10: 'z'
      +------------------------------------"#,
        r#"
Error | 25 lines
  Python ExceptionGroup: two failed (2 sub-exceptions)
    shop.py:30 
    shop.py:29 g
    caused by Python KeyError: 'a'
    caused by   shop.py:22 g
    caused by   shop.py:5 fetch
    caused by Python ExceptionGroup: nested (1 sub-exception)
    caused by Python ValueError: invalid literal for int() with base 10: 'z'
    caused by   shop.py:26 g
"#,
    );
}

#[test]
fn notes() {
    check(
        r#"Traceback (most recent call last):
  File "/srv/shop/shop.py", line 48, in <module>
    fetch({}, "q")
  File "/srv/shop/shop.py", line 5, in fetch
    return d[k]
           ~^^^
KeyError: 'q'
order 17
from cart"#,
        r#"
Error | 9 lines
  Python KeyError: 'q'⏎order 17⏎from cart
    shop.py:48 
    shop.py:5 fetch
"#,
    );
}

#[test]
fn syntax_error_in_eval() {
    check(
        r#"Traceback (most recent call last):
  File "/srv/shop/shop.py", line 53, in <module>
    eval("1 +* 2")
    ~~~~^^^^^^^^^^
  File "<string>", line 1
    1 +* 2
       ^
SyntaxError: invalid syntax"#,
        r#"
Error | 8 lines
  Python SyntaxError: invalid syntax
    shop.py:53 
    and 1 foreign frames
"#,
    );
}

#[test]
fn syntax_error_on_import() {
    check(
        r#"Traceback (most recent call last):
  File "/srv/shop/shop.py", line 56, in <module>
    import bad
  File "/srv/shop/bad.py", line 1
    def f(:
          ^
SyntaxError: invalid syntax"#,
        r#"
Error | 7 lines
  Python SyntaxError: invalid syntax
    shop.py:56 
    bad.py:1 
"#,
    );
}

#[test]
fn syntax_error_at_start() {
    check(
        r#"  File "/srv/shop/bad.py", line 1
    def f(:
          ^
SyntaxError: invalid syntax"#,
        r#"
Error | 4 lines
  Python SyntaxError: invalid syntax
    bad.py:1 
"#,
    );
}

#[test]
fn no_message() {
    check(
        r#"Traceback (most recent call last):
  File "/srv/shop/shop.py", line 61, in <module>
    raise PaymentError
PaymentError"#,
        r#"
Error | 4 lines
  Python PaymentError: 
    shop.py:61 
"#,
    );
}

#[test]
fn segmentation_fault() {
    check(
        r#"Fatal Python error: Segmentation fault

Current thread 0x00007f11ba83ab80 (most recent call first):
  File "/home/dev/.pyenv/versions/3.13.0/lib/python3.13/ctypes/__init__.py", line 538 in string_at
  File "/srv/shop/shop.py", line 81 in <module>"#,
        r#"
Error | 5 lines
  Python Fatal Python error: Segmentation fault
    shop.py:81 
    and 1 foreign frames
"#,
    );
}

#[test]
fn call_over_several_lines() {
    check(
        r#"Traceback (most recent call last):
  File "/srv/shop/shop.py", line 88, in <module>
    wide()
    ~~~~^^
  File "/srv/shop/shop.py", line 84, in wide
    return fetch(
        {},
        "key",
    )
  File "/srv/shop/shop.py", line 5, in fetch
    return d[k]
           ~^^^
KeyError: 'key'"#,
        r#"
Error | 13 lines
  Python KeyError: 'key'
    shop.py:88 
    shop.py:84 wide
    shop.py:5 fetch
"#,
    );
}

#[test]
fn missing_module() {
    check(
        r#"Traceback (most recent call last):
  File "shop.py", line 66, in <module>
    import nosuchmodule
ModuleNotFoundError: No module named 'nosuchmodule'"#,
        r#"
Error | 4 lines
  Python ModuleNotFoundError: No module named 'nosuchmodule'
    shop.py:66 
"#,
    );
}
