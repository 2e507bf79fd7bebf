"""The containers of docker/, started and stopped by `make up` and `make down`.

Standard library only: a machine with a container engine needs no .venv.

    lifecycle    build, start, wait until all are healthy, stop
    docker_cli   docker and its compose plugin
    environment  the variables of compose.yaml, checked
    credentials  the secrets
    healthcheck  the health check inside a container
"""
