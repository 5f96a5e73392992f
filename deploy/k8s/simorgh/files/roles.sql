-- Run once, when the bundled PostgreSQL makes its data folder: the role that owns the tables, the one that the services
-- use, and their database. The passwords come from the environment.
\set ON_ERROR_STOP on
\getenv owner_password SIMORGH_OWNER_PASSWORD
\getenv app_password SIMORGH_APP_PASSWORD
\getenv app_role SIMORGH_APP_ROLE
CREATE ROLE simorgh_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE :"app_role" LOGIN PASSWORD :'app_password';
CREATE DATABASE simorgh OWNER simorgh_owner TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8';
REVOKE ALL ON DATABASE simorgh FROM PUBLIC;
GRANT CONNECT ON DATABASE simorgh TO :"app_role";
