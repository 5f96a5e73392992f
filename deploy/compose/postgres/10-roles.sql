-- Runs once, when the database folder is made: the two roles and their database (architecture, section 5).
\set owner_password `cat /run/secrets/postgres_owner_password`
\set app_password `cat /run/secrets/postgres_app_password`
CREATE ROLE simorgh_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE simorgh_app LOGIN PASSWORD :'app_password';
CREATE DATABASE simorgh OWNER simorgh_owner TEMPLATE template0;
REVOKE ALL ON DATABASE simorgh FROM PUBLIC;
GRANT CONNECT ON DATABASE simorgh TO simorgh_app;
