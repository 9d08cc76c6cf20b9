"""What was promised? Durable jobs: accepted once, finished once, over any crash."""

from supervisor.jobs.job import Job, JobsSnapshot, JobStatus, RoleJobs
from supervisor.jobs.jobs import Jobs
from supervisor.jobs.run import JobRun
from supervisor.jobs.runner import Execute

__all__ = ["Execute", "Job", "JobRun", "JobStatus", "Jobs", "JobsSnapshot", "RoleJobs"]
