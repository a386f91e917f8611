"""The watch: looks at live branded domains, and has their links follow what it finds.

What is decided stands in :mod:`linkseal.domains.watching`; here it is carried out.
"""
