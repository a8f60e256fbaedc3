"""What stands in a request and a reply: codecs, and the encryption and signatures around them."""
