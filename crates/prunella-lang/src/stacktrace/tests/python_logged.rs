//! Python tracebacks as loggers, servers and log carriers print them.

use super::check;

#[test]
fn logged_by_the_logging_module() {
    check(
        r#"2026-11-24 06:16:35,822 ERROR shop: Exception on /checkout [POST]
Traceback (most recent call last):
  File "/srv/shop/shop.py", line 8, in charge
    return fetch(order, "total")
           ^^^^^^^^^^^^^^^^^^^^^
  File "/srv/shop/shop.py", line 5, in fetch
    return d[k]
           ~^^^
KeyError: 'total'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/srv/shop/shop.py", line 42, in <module>
    charge({})
  File "/srv/shop/shop.py", line 10, in charge
    raise PaymentError("no total for order 4711") from e
PaymentError: no total for order 4711
2026-11-24 06:16:35,824 WARNING shop: next line"#,
        r#"
Error | 18 lines
  Python PaymentError: no total for order 4711
    shop.py:42 
    shop.py:10 charge
    caused by Python KeyError: 'total'
    caused by   shop.py:8 charge
    caused by   shop.py:5 fetch
Warn | 2026-11-24 06:16:35,824 WARNING shop: next line
"#,
    );
}

#[test]
fn thread() {
    check(
        r#"Exception in thread Thread-1 (<lambda>):
Traceback (most recent call last):
  File "/home/dev/.pyenv/versions/3.13.0/lib/python3.13/threading.py", line 1041, in _bootstrap_inner
    self.run()
    ~~~~~~~~^^
  File "/home/dev/.pyenv/versions/3.13.0/lib/python3.13/threading.py", line 992, in run
    self._target(*self._args, **self._kwargs)
    ~~~~~~~~~~~~^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/srv/shop/shop.py", line 64, in <lambda>
    t = threading.Thread(target=lambda: fetch({}, "t")); t.start(); t.join()
                                        ~~~~~^^^^^^^^^
  File "/srv/shop/shop.py", line 5, in fetch
    return d[k]
           ~^^^
KeyError: 't'"#,
        r#"
Error | 15 lines
  Python KeyError: 't'
    shop.py:64 <lambda>
    shop.py:5 fetch
    and 2 foreign frames
"#,
    );
}

#[test]
fn asyncio_task() {
    check(
        r#"Task exception was never retrieved
future: <Task finished name='Task-2' coro=<inner() done, defined at /srv/shop/shop.py:69> exception=RuntimeError('boom')>
Traceback (most recent call last):
  File "/srv/shop/shop.py", line 69, in inner
    async def inner(): raise RuntimeError("boom")
                       ^^^^^^^^^^^^^^^^^^^^^^^^^^
RuntimeError: boom"#,
        r#"
Error | 7 lines
  Python RuntimeError: boom
    shop.py:69 inner
"#,
    );
}

#[test]
fn in_a_destructor() {
    check(
        r#"Exception ignored in: <function D.__del__ at 0x7ff4b1335bc0>
Traceback (most recent call last):
  File "/srv/shop/shop.py", line 78, in __del__
    def __del__(self): raise ValueError("in del")
ValueError: in del"#,
        r#"
Error | 5 lines
  Python ValueError: in del
    shop.py:78 __del__
"#,
    );
}

#[test]
fn workers_interleaved() {
    check(
        r#"[2026-11-24 06:02:04 +0000] [11744] [INFO] Listening at: http://127.0.0.1:18202 (11744)
[2026-11-24 06:02:07,730] ERROR in app: Exception on /x [GET]
Traceback (most recent call last):
  File "/srv/shop/.venv/lib/python3.11/site-packages/flask/app.py", line 1511, in wsgi_app
    response = self.full_dispatch_request()
[2026-11-24 06:02:07 +0000] [11747] [INFO] Booting worker with pid: 11747
               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/srv/shop/fl.py", line 4, in x
    def x(): return {}["total"]
                    ~~^^^^^^^^^
127.0.0.1 - - [24/Nov/2026 06:02:04] "GET /ok HTTP/1.1" 200 -
KeyError: 'total'
[2026-11-24 06:02:08 +0000] [11744] [INFO] Handling signal: term"#,
        r#"
Info | [2026-11-24 06:02:04 +0000] [11744] [INFO] Listening at: http://127.0.0.1:18202 (11744)
Info | [2026-11-24 06:02:07 +0000] [11747] [INFO] Booting worker with pid: 11747
? | 127.0.0.1 - - [24/Nov/2026 06:02:04] "GET /ok HTTP/1.1" 200 -
Error | 9 lines
  Python KeyError: 'total'
    fl.py:4 x
    and 1 foreign frames
Info | [2026-11-24 06:02:08 +0000] [11744] [INFO] Handling signal: term
"#,
    );
}

#[test]
fn uvicorn() {
    check(
        r#"INFO:     127.0.0.1:56420 - "GET /y HTTP/1.1" 500 Internal Server Error
ERROR:    Exception in ASGI application
Traceback (most recent call last):
  File "/srv/shop/.venv/lib/python3.11/site-packages/uvicorn/protocols/http/h11_impl.py", line 411, in run_asgi
    result = await app(  # type: ignore[func-returns-value]
             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/srv/shop/fa.py", line 6, in y
    def y(): return int("x")
                    ^^^^^^^^
ValueError: invalid literal for int() with base 10: 'x'
INFO:     127.0.0.1:56428 - "GET /ok HTTP/1.1" 200 OK"#,
        r#"
Info | INFO:     127.0.0.1:56420 - "GET /y HTTP/1.1" 500 Internal Server Error
Error | 9 lines
  Python ValueError: invalid literal for int() with base 10: 'x'
    fa.py:6 y
    and 1 foreign frames
Info | INFO:     127.0.0.1:56428 - "GET /ok HTTP/1.1" 200 OK
"#,
    );
}

#[test]
fn django() {
    check(
        r#"Internal Server Error: /x
Traceback (most recent call last):
  File "/srv/shop/.venv/lib/python3.11/site-packages/django/core/handlers/exception.py", line 55, in inner
    response = get_response(request)
               ^^^^^^^^^^^^^^^^^^^^^
  File "/srv/shop/shop/urls.py", line 2, in x
    def x(r): return {}["total"]
                     ~~^^^^^^^^^
KeyError: 'total'
[24/Nov/2026 06:02:15] "GET /x HTTP/1.1" 500 56317
Not Found: /y"#,
        r#"
Error | 9 lines
  Python KeyError: 'total'
    shop/urls.py:2 x
    and 1 foreign frames
? | [24/Nov/2026 06:02:15] "GET /x HTTP/1.1" 500 56317
? | Not Found: /y
"#,
    );
}

#[test]
fn docker_compose() {
    check(
        r#"web-1  | Internal Server Error: /x
web-1  | Traceback (most recent call last):
web-1  |   File "/srv/shop/.venv/lib/python3.11/site-packages/django/core/handlers/exception.py", line 55, in inner
web-1  |     response = get_response(request)
web-1  |                ^^^^^^^^^^^^^^^^^^^^^
web-1  |   File "/srv/shop/shop/urls.py", line 2, in x
web-1  |     def x(r): return {}["total"]
web-1  |                      ~~^^^^^^^^^
web-1  | KeyError: 'total'
web-1  | [24/Nov/2026 06:02:15] "GET /x HTTP/1.1" 500 56317
web-1  | Not Found: /y"#,
        r#"
Error | 9 lines
  Python KeyError: 'total'
    shop/urls.py:2 x
    and 1 foreign frames
? | web-1  | [24/Nov/2026 06:02:15] "GET /x HTTP/1.1" 500 56317
? | web-1  | Not Found: /y
"#,
    );
}

#[test]
fn every_line_with_its_own_time() {
    check(
        r#"2026-11-24 06:15:05,820 ERROR shop: Traceback (most recent call last):
2026-11-24 06:15:05,821 ERROR shop:   File "/srv/shop/shop.py", line 8, in charge
2026-11-24 06:15:05,822 ERROR shop:     return fetch(order, "total")
2026-11-24 06:15:05,823 ERROR shop:            ^^^^^^^^^^^^^^^^^^^^^
2026-11-24 06:15:05,824 ERROR shop:   File "/srv/shop/shop.py", line 5, in fetch
2026-11-24 06:15:05,825 ERROR shop:     return d[k]
2026-11-24 06:15:05,826 ERROR shop:            ~^^^
2026-11-24 06:15:05,827 ERROR shop: KeyError: 'total'
2026-11-24 06:15:05,828 ERROR shop: 
2026-11-24 06:15:05,829 ERROR shop: The above exception was the direct cause of the following exception:
2026-11-24 06:15:05,830 ERROR shop: 
2026-11-24 06:15:05,831 ERROR shop: Traceback (most recent call last):
2026-11-24 06:15:05,832 ERROR shop:   File "/srv/shop/shop.py", line 13, in handler
2026-11-24 06:15:05,833 ERROR shop:     charge({})
2026-11-24 06:15:05,834 ERROR shop:   File "/srv/shop/shop.py", line 10, in charge
2026-11-24 06:15:05,835 ERROR shop:     raise PaymentError("no total for order 4711") from e
2026-11-24 06:15:05,836 ERROR shop: PaymentError: no total for order 4711
2026-11-24 06:15:05,837 ERROR shop: 
2026-11-24 06:15:05,838 ERROR shop: During handling of the above exception, another exception occurred:
2026-11-24 06:15:05,839 ERROR shop: 
2026-11-24 06:15:05,840 ERROR shop: Traceback (most recent call last):
2026-11-24 06:15:05,841 ERROR shop:   File "/srv/shop/shop.py", line 18, in <module>
2026-11-24 06:15:05,842 ERROR shop:     handler()
2026-11-24 06:15:05,843 ERROR shop:   File "/srv/shop/shop.py", line 15, in handler
2026-11-24 06:15:05,844 ERROR shop:     int("x" + "y")
2026-11-24 06:15:05,845 ERROR shop: ValueError: invalid literal for int() with base 10: 'xy'"#,
        r#"
Error | 26 lines
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
fn first_line_with_a_prefix() {
    check(
        r#"2026-11-24 06:15:05,820 ERROR shop: Traceback (most recent call last):
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

#[test]
fn two_in_a_row() {
    check(
        r#"Traceback (most recent call last):
  File "shop.py", line 66, in <module>
    import nosuchmodule
ModuleNotFoundError: No module named 'nosuchmodule'
Traceback (most recent call last):
  File "shop.py", line 66, in <module>
    import nosuchmodule
ModuleNotFoundError: No module named 'nosuchmodule'"#,
        r#"
Error | 4 lines
  Python ModuleNotFoundError: No module named 'nosuchmodule'
    shop.py:66 
Error | 4 lines
  Python ModuleNotFoundError: No module named 'nosuchmodule'
    shop.py:66 
"#,
    );
}

#[test]
fn http_server() {
    check(
        r#"127.0.0.1 - - [24/Nov/2026 06:43:07] "GET /ok HTTP/1.1" 200 -
----------------------------------------
Exception occurred during processing of request from ('127.0.0.1', 53726)
Traceback (most recent call last):
  File "/home/dev/.pyenv/versions/3.11.7/lib/python3.11/socketserver.py", line 691, in process_request_thread
    self.finish_request(request, client_address)
  File "/home/dev/.pyenv/versions/3.11.7/lib/python3.11/socketserver.py", line 361, in finish_request
    self.RequestHandlerClass(request, client_address, self)
  File "/home/dev/.pyenv/versions/3.11.7/lib/python3.11/socketserver.py", line 755, in __init__
    self.handle()
  File "/home/dev/.pyenv/versions/3.11.7/lib/python3.11/http/server.py", line 436, in handle
    self.handle_one_request()
  File "/home/dev/.pyenv/versions/3.11.7/lib/python3.11/http/server.py", line 424, in handle_one_request
    method()
  File "/srv/shop/hs.py", line 4, in do_GET
    if self.path == "/x": {}["total"]
                          ~~^^^^^^^^^
KeyError: 'total'
----------------------------------------
127.0.0.1 - - [24/Nov/2026 06:43:07] "GET /ok HTTP/1.1" 200 -"#,
        r#"
? | 127.0.0.1 - - [24/Nov/2026 06:43:07] "GET /ok HTTP/1.1" 200 -
? | ----------------------------------------
Error | 16 lines
  Python KeyError: 'total'
    hs.py:4 do_GET
    and 5 foreign frames
? | ----------------------------------------
? | 127.0.0.1 - - [24/Nov/2026 06:43:07] "GET /ok HTTP/1.1" 200 -
"#,
    );
}

#[test]
fn celery() {
    check(
        r#"[2026-11-24 06:02:04,201: INFO/MainProcess] Task shop.pay[5e4] received
[2026-11-24 06:02:04,301: ERROR/ForkPoolWorker-1] Task shop.pay[5e4] raised unexpected: KeyError('total')
Traceback (most recent call last):
  File "/srv/shop/.venv/lib/python3.11/site-packages/celery/app/trace.py", line 453, in trace_task
    R = retval = fun(*args, **kwargs)
                 ^^^^^^^^^^^^^^^^^^^^
  File "/srv/shop/shop/tasks.py", line 7, in pay
    return order["total"]
           ~~~~~^^^^^^^^^
KeyError: 'total'"#,
        r#"
Info | [2026-11-24 06:02:04,201: INFO/MainProcess] Task shop.pay[5e4] received
Error | 9 lines
  Python KeyError: 'total'
    shop/tasks.py:7 pay
    and 1 foreign frames
"#,
    );
}
