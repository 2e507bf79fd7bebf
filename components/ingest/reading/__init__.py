"""What the sources share: image files and formats read, files hashed, addresses reached."""
