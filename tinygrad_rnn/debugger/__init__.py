"""The debugger: a session over a recorded run, views of it, and the app that shows them in a terminal."""
