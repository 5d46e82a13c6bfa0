"""The management API's part about destinations that needs their vendors: what may be chosen in a field.

Asked with a session of somebody who may change the destination: the call is made with its credentials.
"""

from __future__ import annotations

from uuid import UUID

from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import APIException, NotFound
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api.views import View
from hub.delivery import choosing
from hub.delivery.choosing import NoChoices
from hub.delivery.grants.views import destination_for
from hub.delivery.stored import UnusableDestination


class Unusable(APIException):
    """The destination cannot call anybody as it is set up."""

    status_code = 409
    default_code = "destination_unusable"


class Refused(APIException):
    """The vendor did not give the list."""

    status_code = 502
    default_code = "vendor_refused"


class DestinationChoices(View):
    """`GET /api/destinations/<id>/choices/<list>?page=`"""

    authentication_classes = (SessionAuthentication,)
    permission_classes = (IsAuthenticated,)

    def get(self, request: Request, pk: UUID, key: str) -> Response:
        destination = destination_for(request._request, pk)
        try:
            found = choosing.list_choices(destination, key, request.query_params.get("page", ""))
        except NoChoices as error:
            raise NotFound(str(error)) from error
        except UnusableDestination as error:
            raise Unusable(str(error)) from error
        if found.failure is not None:
            raise Refused(found.failure["message"] or "The vendor did not give the list.", found.failure["reason"])
        return Response(found.as_json(), headers={"Cache-Control": "no-store"})
