"""The console: a page to watch, ask and decide in, of a system on this machine or on AWS.

One Starlette application on the loopback, without a build step. Whoever may open it has its token, and its
requests reach S3, SQS and Athena with the same clients as the commands: on AWS with the user's own rights.

A page is one module of `pages/`, with its template `NAME.html.j2` and, if it needs them, `NAME.js` and
`NAME.css` beside it. To add one:

1. Write the module. `routes(system)` returns its routes; `TITLE` and `PATH` put it into the navigation,
   where an empty title leaves it out. A handler is `async`, and hands what waits for AWS to
   `system.in_thread(function, …)`. SQL goes through `with system.engine() as engine`, within such a thread.
2. Add the module to `PAGES` in `pages/__init__.py`.
3. Return `frame.page(request, "NAME.html.j2", …)`. The template extends `frame.html.j2`, and fills the blocks
   `title`, `head` (its stylesheet and script, from `/assets/NAME.css` and `/assets/NAME.js`) and `main`.
   Expressions are escaped, and their non-printable characters are replaced by �. What a script needs exactly,
   such as a key, goes through the filter `exactly` into a `data-` attribute, and comes back by `JSON.parse`.
4. Test it with `tests.console.a_client`, in `tests/unit/test_console_NAME.py`.

What holds for every page is in `access.py`: the token, Host and Origin, and the security policy. It allows no
inline script and no inline style, not even a `style` attribute: sizes are SVG attributes, `<meter>`, or set
by a script through `element.style`. A page with another policy sets that header itself. GET changes nothing;
whatever changes something is another method, which must come from a page of the console.
"""
