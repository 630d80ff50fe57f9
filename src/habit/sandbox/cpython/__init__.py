"""The CPython backend: zygote, fork per session, lockdown."""
