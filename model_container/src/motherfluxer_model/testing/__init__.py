"""Official fakes for tests of the container and of other instances: no part of a running one."""
