//! How the page looks: the reader's own light or dark, and paper.

/// Ink and paper have a contrast of at least 7, the muted ink one of 4.5.
pub(super) const CSS: &str = "
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --muted: #59636e; --line: #d0d7de; --shade: #f6f8fa }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --muted: #9198a1; --line: #3d444d; --shade: #151b23 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.5rem; max-width: 72rem; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.6rem; margin: 0 0 .5rem } h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; border-bottom: 1px solid var(--line) }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .25rem } h4 { font-size: 1rem; margin: 0 }
p { margin: .25rem 0; color: var(--muted) }
a { color: inherit; text-underline-offset: .2em } :focus-visible { outline: 3px solid #3b82c4; outline-offset: 2px }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0; margin: 0; list-style: none }
.skip { position: absolute; left: -100rem } .skip:focus { position: static }
figure { margin: .75rem 0 0 } figure svg { width: 100%; height: auto; display: block }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0; margin: .25rem 0; list-style: none; font-size: .9rem }
.legend svg { width: 1.6rem; height: .8rem; vertical-align: middle }
.multiples { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 22rem)); gap: 1.25rem }
.scroll { overflow-x: auto; margin: .5rem 0 }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums }
caption { text-align: left; color: var(--muted); padding: .25rem 0 }
th, td { padding: .2rem .75rem; text-align: right; border-bottom: 1px solid var(--line) } th:first-child, td:first-child { text-align: left }
thead th { background: var(--shade) } tbody th { font-weight: 400 }
#runs td { text-align: left }
summary { cursor: pointer; color: var(--muted) } footer { margin-top: 3rem; color: var(--muted); font-size: .9rem }
@media print { details:not([open])::details-content { content-visibility: visible; display: block } .skip { display: none } }
";
