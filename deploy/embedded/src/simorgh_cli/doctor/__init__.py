"""What a newcomer stumbles over, and what to do about it: checks of this machine and of the platform."""
