#!/bin/sh
# Run once by the image, when its volume is empty: two databases, each with an owner that cannot read the other.
set -eu
psql --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname=postgres \
  --set=mlflow="$MLFLOW_DB_PASSWORD" --set=ledger="$LEDGER_DB_PASSWORD" <<'SQL'
CREATE ROLE mlflow LOGIN PASSWORD :'mlflow';
CREATE ROLE ledger LOGIN PASSWORD :'ledger';
CREATE DATABASE mlflow OWNER mlflow;
CREATE DATABASE ledger OWNER ledger;
REVOKE CONNECT ON DATABASE mlflow, ledger FROM PUBLIC;
SQL
