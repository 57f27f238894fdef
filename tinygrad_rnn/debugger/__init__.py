"""The debugger: a session over a recorded run, views of it, and the app on a terminal."""
