"""Pages and a JSON API over a rule pack: server-rendered HTML, one stylesheet, one small script.

Everything a browser needs is served from here; nothing is fetched from elsewhere. What is computed
is `engine`'s, what is read from files is `facts`'; this package asks, shows and guards.
"""
