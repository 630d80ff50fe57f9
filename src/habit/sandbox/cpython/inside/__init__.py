"""What runs inside a worker process; standard library only, apart from numpy and pandas values it is handed."""
