#!/bin/sh
# At the first start of PostgreSQL: a role and a database each for Airflow and MLflow; neither can open the other's.
set -eu
for name in airflow mlflow; do
  url=$(cat "/run/secrets/${name}_database") # postgresql+psycopg2://NAME:PASSWORD@postgres/NAME
  rest=${url##*:}
  psql --quiet --set ON_ERROR_STOP=1 --username postgres <<SQL
    CREATE ROLE $name LOGIN PASSWORD '${rest%%@*}';
    CREATE DATABASE $name OWNER $name;
    REVOKE CONNECT ON DATABASE $name FROM PUBLIC;
SQL
done
