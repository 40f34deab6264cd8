"""What tests of more than one folder share; pytest takes plugins from the root alone."""

pytest_plugins = ["model_container.tests.image.building"]
