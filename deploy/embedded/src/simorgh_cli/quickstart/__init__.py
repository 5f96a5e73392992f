"""The newcomer's main job: train a small Persian model on the running platform and talk to it."""
