"""Readers, one for each kind of document; they run in the converting process only, on bytes that nobody trusts."""
