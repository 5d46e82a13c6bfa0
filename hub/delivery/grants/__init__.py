"""Credentials that have to be worked for: tokens that are asked for, renewed and taken back, and signatures.

A connector declares its scheme (`needs`). The owner may have to sign in at the vendor (`signing_in`); the token that
comes of it, or of an exchange (`exchanges`), is sealed and kept (`store`), and renewed in time by one worker for all
(`tokens`). What a request then carries is made from it in the sender's thread, without waiting for anybody (`signing`).
"""
