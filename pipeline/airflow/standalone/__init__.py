"""`make airflow`: a local Airflow, started part by part and ended as one."""
