"""The containers of docker/: started, waited for and ended by `make up` and `make down`. Standard library only, since
whoever has an engine for containers needs no .venv."""
